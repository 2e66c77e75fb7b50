# Finds SOCI as Debian's libsoci-dev has it: headers and libraries, no CMake package. Gives SOCI::core, SOCI::sqlite3.
# Installed beside nestor-config.cmake, which needs it.
include(FindPackageHandleStandardArgs)

find_path(SOCI_INCLUDE_DIR soci/soci.h)
foreach(component core sqlite3)
  find_library(SOCI_${component}_LIBRARY soci_${component})
  mark_as_advanced(SOCI_${component}_LIBRARY)
endforeach()
if(SOCI_INCLUDE_DIR)
  file(STRINGS "${SOCI_INCLUDE_DIR}/soci/version.h" soci_version_line REGEX "define SOCI_LIB_VERSION \"")
  string(REGEX REPLACE ".*\"([0-9]+)_([0-9]+)(_([0-9]+))?\".*" "\\1.\\2" SOCI_VERSION "${soci_version_line}")
endif()

find_package_handle_standard_args(SOCI
  REQUIRED_VARS SOCI_core_LIBRARY SOCI_sqlite3_LIBRARY SOCI_INCLUDE_DIR VERSION_VAR SOCI_VERSION)

if(SOCI_FOUND AND NOT TARGET SOCI::core)
  foreach(component core sqlite3)
    add_library(SOCI::${component} UNKNOWN IMPORTED)
    set_target_properties(SOCI::${component} PROPERTIES
      IMPORTED_LOCATION "${SOCI_${component}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${SOCI_INCLUDE_DIR}")
  endforeach()
  set_property(TARGET SOCI::sqlite3 PROPERTY INTERFACE_LINK_LIBRARIES SOCI::core)
endif()
