#include "spec_file.hpp"
#include "verbs.hpp"

#include <iostream>

namespace nestor::cli {

int run_up(const up_options& o) {
  if (!load_spec(o.file, false))
    return usage;
  std::cerr << "nestor: up is not part of this build\n";
  return refused;
}

} // namespace nestor::cli
