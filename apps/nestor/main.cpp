// nestor: the node and its client verbs. Everything is in the library beside this, so that tests link what ships.
#include "verbs.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>

#include <malloc.h>

int main(int argc, char** argv) {
  // One thread allocates nearly everything, and it is not the first one. An arena of its own would grow page by page,
  // a system call each; the main arena grows by larger steps.
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TOP_PAD, 1 << 20);
  ::setenv("GRPC_VERBOSITY", "NONE", 0); // libgrpc++ writes to the terminal what its statuses say, too
  try {
    return nestor::cli::run(argc, argv);
  } catch (const std::exception& e) { // what escaped is a defect; it is said, not hidden behind a core dump
    std::cerr << "nestor: internal: " << e.what() << '\n';
    return nestor::cli::failed;
  }
}
