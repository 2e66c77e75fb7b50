// Catch2's main, compiled once for all suites: it costs more than any test file.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
