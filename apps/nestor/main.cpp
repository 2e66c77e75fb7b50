// nestor: the node and its client verbs. Everything is in the library beside this, so that tests link what ships.
#include "verbs.hpp"

#include <exception>
#include <iostream>

int main(int argc, char** argv) {
  try {
    return nestor::cli::run(argc, argv);
  } catch (const std::exception& e) { // what escaped is a defect; it is said, not hidden behind a core dump
    std::cerr << "nestor: internal: " << e.what() << '\n';
    return nestor::cli::failed;
  }
}
