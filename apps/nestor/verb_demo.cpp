#include "verbs.hpp"

#include <iostream>

namespace nestor::cli {

int run_demo(const demo_options&) {
  std::cerr << "nestor: demo is not part of this build\n";
  return refused;
}

} // namespace nestor::cli
