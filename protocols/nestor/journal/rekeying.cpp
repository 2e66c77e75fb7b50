#include <nestor/journal/rekeying.hpp>

namespace nestor::journal {

void renew(nested::delivery& of, const nested::delivery& before, const nested::delivery& now) {
  if (of.settings && of.settings == before.settings)
    of.settings = now.settings;
  auto renew_all = [](auto& items, const auto& were, const auto& are) {
    for (auto& item : items)
      for (std::size_t i = 0; i < were.size() && i < are.size(); ++i)
        if (item == were[i])
          item = are[i];
  };
  renew_all(of.git_providers, before.git_providers, now.git_providers);
  renew_all(of.secrets, before.secrets, now.secrets);
}

} // namespace nestor::journal
