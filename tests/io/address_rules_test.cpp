#include <nestor/io/address_rules.hpp>

#include <catch2/catch.hpp>

using namespace nestor;

namespace {

bool allowed(const char* text, address_source from, const io::address_rules& rules = {}) {
  CAPTURE(text);
  auto address = io::parse_address(text);
  REQUIRE(address);
  return io::allowed(*address, from, rules);
}

} // namespace

TEST_CASE("some addresses are never connected to, whoever names them and whatever is allowed", "[io]") {
  io::address_rules everything;
  everything.allow = {*io::parse_range("0.0.0.0/0"), *io::parse_range("::/0")};
  for (const char* text :
       {"169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3",
        "224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::", "fe80::1", "febf::1",
        "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
        // the same, dressed as IPv6: mapped, compatible, translated, NAT64, 6to4
        "::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1", "::ffff:0.0.0.0", "64:ff9b::224.0.0.1"}) {
    CHECK_FALSE(allowed(text, address_source::node, everything));
    CHECK_FALSE(allowed(text, address_source::spec, everything));
  }
}

TEST_CASE("loopback and private addresses are for the node, and for specifications where allowed", "[io]") {
  struct {
    const char* text;
    const char* range;
  } rows[] = {
    {"127.0.0.1", "127.0.0.0/8"},
    {"127.255.255.254", "127.0.0.0/8"},
    {"10.0.0.1", "10.0.0.0/8"},
    {"172.16.0.1", "172.16.0.0/12"},
    {"172.31.255.255", "172.16.0.0/12"},
    {"192.168.1.1", "192.168.0.0/16"},
    {"100.64.0.1", "100.64.0.0/10"},
    {"198.18.0.1", "198.18.0.0/15"},
    {"::1", "::1"},
    {"fc00::1", "fc00::/7"},
    {"fd12:3456::1", "fd12:3456::/32"},
    {"::ffff:127.0.0.1", "127.0.0.0/8"},
    {"64:ff9b::10.1.2.3", "10.0.0.0/8"},
    {"2002:7f00:1::", "127.0.0.0/8"},
  };
  for (const auto& row : rows) {
    CHECK(allowed(row.text, address_source::node));
    CHECK_FALSE(allowed(row.text, address_source::spec));
    io::address_rules rules;
    rules.allow.push_back(*io::parse_range(row.range));
    CHECK(allowed(row.text, address_source::spec, rules));
    rules.deny = rules.allow;
    CHECK_FALSE(allowed(row.text, address_source::spec, rules));
    CHECK_FALSE(allowed(row.text, address_source::node, rules));
  }
}

TEST_CASE("public addresses may be named by anyone unless denied", "[io]") {
  for (const char* text :
       {"1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1", "169.255.0.1", "126.0.0.1",
        "128.0.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"}) {
    CHECK(allowed(text, address_source::spec));
    CHECK(allowed(text, address_source::node));
  }
  io::address_rules rules;
  rules.deny.push_back(*io::parse_range("1.1.1.0/24"));
  CHECK_FALSE(allowed("1.1.1.1", address_source::node, rules));
  CHECK_FALSE(allowed("::ffff:1.1.1.1", address_source::node, rules));
  CHECK(allowed("1.1.2.1", address_source::node, rules));
  CHECK_FALSE(allowed("2001:0:4136:e378::1", address_source::spec)); // Teredo hides where it leads
  CHECK_FALSE(allowed("64:ff9b:1::1", address_source::spec));
}

TEST_CASE("ranges are read strictly", "[io]") {
  CHECK(io::parse_range("10.0.0.0/8")->bits == 8);
  CHECK(io::parse_range("10.1.2.3")->bits == 32);
  CHECK(io::parse_range("fd00::/8")->bits == 8);
  CHECK(io::parse_range("0.0.0.0/0")->bits == 0);
  for (const char* text :
       {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8 ", "10/8", "010.0.0.1", "fd00::/129", "fd00::1/64",
        "10.0.0.0/-1", "10.0.0.0/0x8", "localhost", "[::1]", "1.2.3.4.5", "fe80::1%eth0"})
    CHECK_FALSE(io::parse_range(text));
  CHECK(io::parse_range("10.0.0.0/9")->holds(*io::parse_address("10.127.255.255")));
  CHECK_FALSE(io::parse_range("10.0.0.0/9")->holds(*io::parse_address("10.128.0.0")));
  CHECK(io::to_string(*io::parse_address("::ffff:1.2.3.4")) == "::ffff:1.2.3.4");
}
