// Somebody else's program: the protocols, and no actor system anywhere.
#include <nestor/core/ids.hpp>
#include <nestor/http/url.hpp>

#include <array>
#include <cstdio>

int main() {
  std::array<std::uint8_t, nestor::id_entropy_bytes> entropy{1, 2, 3};
  auto id = nestor::make_sandbox_id(entropy);
  auto url = nestor::http::parse_url("http://127.0.0.1:3000/s/a");
  std::printf("%s\n", id.text.c_str());
  return nestor::is_sandbox_id(id.text) && url && url->port == 3000 ? 0 : 1;
}
