# Finds CAF, whichever of its two worlds this machine has:
#   - a CMake package of CAF 1.x, when CAF_ROOT (or CMAKE_PREFIX_PATH) leads to one;
#   - Debian's libcaf-dev 0.17.6, which ships headers and libraries but no CMake package.
# Either way there are CAF::core, CAF::io, ... and CAF_VERSION. Installed beside nestor-config.cmake, which needs it.
include(FindPackageHandleStandardArgs)
find_package(Threads REQUIRED)

if(CAF_ROOT OR DEFINED ENV{CAF_ROOT})
  find_package(CAF 1.0 CONFIG QUIET)  # its config accepts COMPONENTS without checking them, so the loop below does
endif()

if(TARGET CAF::core)
  foreach(component IN LISTS CAF_FIND_COMPONENTS)
    if(TARGET CAF::${component})
      set(CAF_${component}_FOUND TRUE)
    endif()
  endforeach()
  find_package_handle_standard_args(CAF REQUIRED_VARS CAF_VERSION VERSION_VAR CAF_VERSION HANDLE_COMPONENTS)
  return()
endif()

find_path(CAF_INCLUDE_DIR caf/config.hpp)
if(CAF_INCLUDE_DIR)
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" caf_version_line REGEX "define CAF_VERSION [0-9]+")
  string(REGEX REPLACE ".*CAF_VERSION ([0-9]+).*" "\\1" caf_number "${caf_version_line}")
  math(EXPR caf_major "${caf_number} / 10000")
  math(EXPR caf_minor "(${caf_number} / 100) % 100")
  math(EXPR caf_patch "${caf_number} % 100")
  set(CAF_VERSION "${caf_major}.${caf_minor}.${caf_patch}")
endif()

foreach(component IN LISTS CAF_FIND_COMPONENTS)
  find_library(CAF_${component}_LIBRARY caf_${component})
  mark_as_advanced(CAF_${component}_LIBRARY)
  if(CAF_${component}_LIBRARY AND CAF_INCLUDE_DIR)
    set(CAF_${component}_FOUND TRUE)
    add_library(CAF::${component} UNKNOWN IMPORTED)
    set_target_properties(CAF::${component} PROPERTIES
      IMPORTED_LOCATION "${CAF_${component}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}")
    if(component STREQUAL "core")
      target_link_libraries(CAF::core INTERFACE Threads::Threads)
      # g++ 12 reports 0.17's deserialisation of scalars, inside its headers, as maybe uninitialised: it is not.
      target_compile_options(CAF::core INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    else()
      target_link_libraries(CAF::${component} INTERFACE CAF::core)
    endif()
  endif()
endforeach()
mark_as_advanced(CAF_INCLUDE_DIR)

find_package_handle_standard_args(CAF REQUIRED_VARS CAF_INCLUDE_DIR VERSION_VAR CAF_VERSION HANDLE_COMPONENTS)
