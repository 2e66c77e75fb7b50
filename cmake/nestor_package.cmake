# cpack -G DEB: the package `nestor`, with everything that a node needs and nothing of the libraries: binaries, unit,
# user, configuration, completions, manual page, documentation. What it needs of others is read from the binaries.
if(NOT PROJECT_IS_TOP_LEVEL OR NOT TARGET nestor)
  return()
endif()

# Completions and the manual page are what the binary itself prints.
set(pages "${CMAKE_BINARY_DIR}/pages")
file(MAKE_DIRECTORY "${pages}")
add_custom_command(
  OUTPUT "${pages}/nestor.bash" "${pages}/_nestor" "${pages}/nestor.fish" "${pages}/nestor.1"
  COMMAND nestor completion bash > "${pages}/nestor.bash"
  COMMAND nestor completion zsh > "${pages}/_nestor"
  COMMAND nestor completion fish > "${pages}/nestor.fish"
  COMMAND nestor completion man > "${pages}/nestor.1"
  DEPENDS nestor VERBATIM COMMENT "Printing completions and the manual page")
add_custom_target(nestor_pages ALL DEPENDS "${pages}/nestor.1")

set(share "${CMAKE_INSTALL_DATAROOTDIR}")
install(FILES "${pages}/nestor.bash" DESTINATION "${share}/bash-completion/completions" RENAME nestor COMPONENT node)
install(FILES "${pages}/_nestor" DESTINATION "${share}/zsh/vendor-completions" COMPONENT node)
install(FILES "${pages}/nestor.fish" DESTINATION "${share}/fish/vendor_completions.d" COMPONENT node)
install(FILES "${pages}/nestor.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT node)
install(FILES README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT node)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright COMPONENT node)
install(DIRECTORY docs DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT node PATTERN "decisions" EXCLUDE)
# Where systemd looks, whatever the prefix is: only in a package.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" OR NESTOR_SYSTEM_FILES)
  set(system_files)
else()
  set(system_files EXCLUDE_FROM_ALL)
endif()
install(FILES docs/systemd/nestor.service DESTINATION /lib/systemd/system COMPONENT system ${system_files})
install(FILES docs/systemd/nestor.sysusers DESTINATION /usr/lib/sysusers.d RENAME nestor.conf COMPONENT system
  ${system_files})
install(FILES docs/systemd/nestor.yaml DESTINATION /etc/nestor COMPONENT system ${system_files})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME nestor)
set(CPACK_PACKAGE_VENDOR Nestor)
set(CPACK_PACKAGE_CONTACT "The authors of Nestor <nestor@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "orchestrator of nested servers in rented runtimes")
set(CPACK_PACKAGE_DESCRIPTION
  "Nestor gets a sandbox from a provider, waits until the HTTP server inside is\nalive, and pushes its configuration \
there, verified, all or nothing. It keeps\nthe sandbox configured and never loses track of one.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL node system)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(script conffiles postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${PROJECT_SOURCE_DIR}/cmake/deb/${script}")
endforeach()
include(CPack)
