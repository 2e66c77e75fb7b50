# find_package(nestor 0.1 COMPONENTS protocols): without CAF on the machine.  COMPONENTS io actors: with the rest.
include(CMakePackageConfigHelpers)

configure_package_config_file(cmake/nestor-config.cmake.in nestor-config.cmake
  INSTALL_DESTINATION "${NESTOR_INSTALL_CMAKEDIR}")
write_basic_package_version_file(nestor-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/nestor-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/nestor-config-version.cmake"
    cmake/FindCAF.cmake
    cmake/FindSOCI.cmake
  DESTINATION "${NESTOR_INSTALL_CMAKEDIR}")
