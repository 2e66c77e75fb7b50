#include "spec_file.hpp"
#include "verbs.hpp"

#include <iostream>

namespace nestor::cli {

int run_bench(const bench_options& o) {
  if (!load_spec(o.spec, true))
    return usage;
  std::cerr << "nestor: bench is not part of this build\n";
  return refused;
}

} // namespace nestor::cli
