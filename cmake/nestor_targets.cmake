# How every target of this project is made. Globs are CONFIGURE_DEPENDS: adding a file needs no edit here.
include(GNUInstallDirs)
set(NESTOR_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/nestor")


# nestor_flags(<target> <scope>): this project's language level, warnings and sanitizers.
# Nothing of it is exported: an embedder's flags are the embedder's.
function(nestor_flags target scope)
  target_compile_features(${target} ${scope} cxx_std_20)
  target_compile_options(${target} PRIVATE $<BUILD_INTERFACE:-Wall;-Wextra;-Wpedantic;-Wswitch-enum;-Wshadow>)
  if(NESTOR_WARNINGS_AS_ERRORS)
    # g++ 12's optimiser sees these in std::string and std::optional where they are not (GCC bugs 105329, 105562).
    set(false_alarms maybe-uninitialized restrict array-bounds stringop-overflow stringop-overread)
    list(TRANSFORM false_alarms PREPEND -Wno-error=)
    target_compile_options(${target} PRIVATE
      $<BUILD_INTERFACE:-Werror> $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:GNU>:${false_alarms}>>)
  endif()
  if(NESTOR_SANITIZERS)
    target_compile_options(${target} ${scope}
      $<BUILD_INTERFACE:-fsanitize=${NESTOR_SANITIZERS};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
    target_link_options(${target} ${scope} $<BUILD_INTERFACE:-fsanitize=${NESTOR_SANITIZERS}>)
    if(NESTOR_SANITIZERS MATCHES undefined)
      # It looks at memory through a pipe, and calls every object broken when there is no descriptor left for one, which
      # is what some tests see to.
      target_compile_options(${target} ${scope} $<BUILD_INTERFACE:-fno-sanitize=vptr>)
    endif()
  endif()
  if(NESTOR_FUZZ)
    target_compile_options(${target} ${scope} $<BUILD_INTERFACE:-fsanitize=fuzzer-no-link,address,undefined>)
    target_link_options(${target} ${scope} $<BUILD_INTERFACE:-fsanitize=address,undefined>)
  endif()
endfunction()

# nestor_library(<name> INCLUDE_ROOT <dir> FOLDERS <globs> [PUBLIC <targets>] [PRIVATE <targets>])
# The library nestor::<name>: all *.cpp of the folders and their internal/ folders, its include root, alias and export.
# Headers in internal/ are for the library's own sources: not installed.
function(nestor_library name)
  cmake_parse_arguments(arg "" "INCLUDE_ROOT" "FOLDERS;PUBLIC;PRIVATE" ${ARGN})
  list(TRANSFORM arg_FOLDERS PREPEND "${arg_INCLUDE_ROOT}/" OUTPUT_VARIABLE folders)
  list(TRANSFORM folders APPEND "/*.cpp" OUTPUT_VARIABLE patterns)
  list(TRANSFORM folders APPEND "/internal/*.cpp" OUTPUT_VARIABLE internal_patterns)
  file(GLOB sources CONFIGURE_DEPENDS ${patterns} ${internal_patterns})
  if(NOT sources)
    return()
  endif()

  set(target nestor_${name})
  add_library(${target} STATIC ${sources})
  add_library(nestor::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    POSITION_INDEPENDENT_CODE ON
    NESTOR_INCLUDE_ROOT "${CMAKE_CURRENT_SOURCE_DIR}/${arg_INCLUDE_ROOT}"  # for nestor_header_check()
    NESTOR_FOLDERS "${arg_FOLDERS}")
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/${arg_INCLUDE_ROOT}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  nestor_flags(${target} PUBLIC)

  install(TARGETS ${target} EXPORT nestor_${name}_targets)
  install(EXPORT nestor_${name}_targets NAMESPACE nestor:: DESTINATION "${NESTOR_INSTALL_CMAKEDIR}")
  file(GLOB header_folders LIST_DIRECTORIES true ${folders})
  install(DIRECTORY ${header_folders} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/nestor"
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def" PATTERN "internal" EXCLUDE)
endfunction()

# nestor_messages(<name> <file.proto>): the file's messages in nestor::<name>, for its own sources and for those of this
# tree that link `nestor_<name>_messages`: #include <nestor_messages/<file>.pb.h>. Nothing of it is installed.
function(nestor_messages name file)
  get_filename_component(stem "${file}" NAME_WE)
  get_filename_component(folder "${file}" DIRECTORY)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/nestor_messages")
  file(MAKE_DIRECTORY "${out}")
  add_custom_command(
    OUTPUT "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h"
    COMMAND "${NESTOR_PROTOC}" "--proto_path=${CMAKE_CURRENT_SOURCE_DIR}/${folder}" "--cpp_out=${out}" "${stem}.proto"
    DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
    COMMENT "Generating messages of ${file}")
  set_source_files_properties("${out}/${stem}.pb.cc" PROPERTIES COMPILE_OPTIONS -w)  # not ours to correct
  target_sources(nestor_${name} PRIVATE "${out}/${stem}.pb.cc")
  target_include_directories(nestor_${name} SYSTEM PRIVATE "$<BUILD_INTERFACE:${CMAKE_CURRENT_BINARY_DIR}>")
  if(NOT TARGET nestor_${name}_messages)
    add_library(nestor_${name}_messages INTERFACE)
    target_include_directories(nestor_${name}_messages SYSTEM INTERFACE "${CMAKE_CURRENT_BINARY_DIR}")
    target_link_libraries(nestor_${name}_messages INTERFACE nestor_${name} PkgConfig::protobuf_lite)
  endif()
endfunction()

# nestor_program(<name> SOURCES <files> [LINK <targets>]): a binary that is installed.
function(nestor_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  nestor_flags(${name} PRIVATE)
  install(TARGETS ${name} COMPONENT node)
endfunction()

# nestor_subdirectory(<dir>): add_subdirectory, if the checkout has it.
function(nestor_subdirectory dir)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${dir}/CMakeLists.txt")
    add_subdirectory(${dir})
  endif()
endfunction()

# nestor_test(<label> [SERIAL] [LINK <targets>]): all *.cpp below tests/<label>, when there is a *_test.cpp among them, as
# one Catch2 executable; each test case is a ctest test. It is left out while one of its <targets> does not exist.
# Test cases tagged [.long] run only with `tests/run long`. SERIAL: never beside another test.
function(nestor_test label)
  cmake_parse_arguments(arg "SERIAL" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${label}/*.cpp")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  foreach(needed IN LISTS arg_LINK)
    if(NOT TARGET ${needed})
      return()
    endif()
  endforeach()
  if(NOT tests)
    return()
  endif()

  set(target nestor_${label}_tests)
  add_executable(${target} ${sources})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE nestor_test_main ${arg_LINK})
  nestor_flags(${target} PRIVATE)
  add_dependencies(suites ${target})
  set(timeout 300)  # seconds; ends what hangs
  if(NESTOR_SANITIZERS)
    set(timeout 1200)  # the thread sanitizer makes long walks fifteen times as long
  endif()
  catch_discover_tests(${target}
    TEST_PREFIX "${label}: "
    EXTRA_ARGS --warn NoTests  # a name that ctest mangled matches nothing, and must not pass for it
    PROPERTIES LABELS ${label} TIMEOUT ${timeout} RUN_SERIAL ${arg_SERIAL})

  foreach(source IN LISTS tests)
    file(STRINGS "${source}" long_cases REGEX "\\[\\.long\\]" LIMIT_COUNT 1)
    if(long_cases)
      add_test(NAME "${label}: at full length" CONFIGURATIONS long COMMAND ${target} "[.long]" --durations yes)
      set_tests_properties("${label}: at full length" PROPERTIES
        LABELS ${label} TIMEOUT 7200 RUN_SERIAL ${arg_SERIAL})
      break()
    endif()
  endforeach()
endfunction()
