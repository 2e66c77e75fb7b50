// What the `process` provider makes of the answers to a start.
#include <nestor/core/failure.hpp>
#include <nestor/providers/provider.hpp>

#include <catch2/catch.hpp>

using namespace nestor;

namespace {

failure failure_after(const process_refused& refusal) {
  auto spec = std::make_shared<runtime_spec>();
  spec->command = {"nested-server", "--flag"};
  providers::provision_order order;
  order.spec = spec;
  io_reply reply{refusal};
  providers::heard so_far;
  so_far.reply = &reply;
  auto outcome = providers::of_kind("process")->provision({}, order, so_far);
  REQUIRE(std::holds_alternative<failure>(outcome));
  return std::get<failure>(outcome);
}

} // namespace

TEST_CASE("a start that the system refuses for good is the caller's to mend") {
  auto why = failure_after({"No such file or directory", false});
  CHECK(why.code == errc::provision_refused);
  CHECK(row_of(why.code).helps == rung::give_up);
  CHECK(why.cause == "the command `nested-server` could not be started: No such file or directory");
}

TEST_CASE("a start that is refused for want of descriptors or processes is tried again") {
  auto why = failure_after({"Too many open files", true});
  CHECK(why.code == errc::overloaded);
  CHECK(row_of(why.code).helps != rung::give_up);
  CHECK(why.cause == "the command `nested-server` could not be started: Too many open files");
}
