// Any bytes as a specification: it is read or every fault is told, and what was read resolves without surprise.
#include <nestor/sandbox/spec_reader.hpp>
#include <nestor/sandbox/spec_template.hpp>

#include <cstdint>
#include <cstdlib>

using namespace nestor;

namespace {

expected<secret> found(reference_kind, const std::string&) {
  return secret::copy_of("found");
}

void judge(std::string_view json, bool bench) {
  reading how;
  how.bench = bench;
  auto source = read_spec(json, how);
  if (source.faults.empty() != source.value.has_value())
    std::abort();
  for (const auto& f : source.faults)
    if (message_of(f).empty())
      std::abort();
  if (!source)
    return;
  if (!bench) {
    (void)resolve(*source, found);
  } else if (auto made = spec_template::of(*source, found)) {
    (void)made->expand(0);
    (void)made->expand(bench_index_max);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view json{reinterpret_cast<const char*>(bytes), size};
  judge(json, false);
  judge(json, true);
  return 0;
}
