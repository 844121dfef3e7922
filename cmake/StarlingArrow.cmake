# Arrow and Parquet C++, headers and libraries, as they come in the Python wheel pyarrow, which ./dev setup installs in
# build/venv. Gives arrow_wheel when it is there, with STARLING_ARROW_RPATH, the wheel's folder as seen from lib/ of the
# build folder, so that both may move together. Without the wheel the build says so and reads no Parquet.
file(GLOB STARLING_ARROW_DIR ${CMAKE_SOURCE_DIR}/build/venv/lib/python3*/site-packages/pyarrow)
file(GLOB STARLING_ARROW_LIBRARY ${STARLING_ARROW_DIR}/libarrow.so.*)
file(GLOB STARLING_PARQUET_LIBRARY ${STARLING_ARROW_DIR}/libparquet.so.*)
file(STRINGS ${CMAKE_SOURCE_DIR}/tools/requirements.txt STARLING_ARROW_PIN REGEX "^pyarrow==")
string(REPLACE "pyarrow==" "" STARLING_ARROW_PIN "${STARLING_ARROW_PIN}")

if(NOT STARLING_ARROW_LIBRARY OR NOT STARLING_PARQUET_LIBRARY)
  message(WARNING "pyarrow is not in build/venv: this build will not read Parquet files. Run ./dev setup, which installs "
    "pyarrow ${STARLING_ARROW_PIN} there, and configure again.")
else()
  file(STRINGS ${STARLING_ARROW_DIR}/include/arrow/util/config.h STARLING_ARROW_VERSION
    REGEX "define ARROW_VERSION_STRING")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" STARLING_ARROW_VERSION "${STARLING_ARROW_VERSION}")
  if(NOT STARLING_ARROW_VERSION STREQUAL STARLING_ARROW_PIN)
    message(FATAL_ERROR "build/venv has pyarrow ${STARLING_ARROW_VERSION}, this project is made for "
      "${STARLING_ARROW_PIN} (tools/requirements.txt): run ./dev setup")
  endif()
  message(STATUS "Parquet: Arrow ${STARLING_ARROW_VERSION} from the pyarrow wheel")
  add_library(arrow_wheel INTERFACE IMPORTED GLOBAL)
  target_link_libraries(arrow_wheel INTERFACE ${STARLING_PARQUET_LIBRARY} ${STARLING_ARROW_LIBRARY})
  target_include_directories(arrow_wheel SYSTEM INTERFACE ${STARLING_ARROW_DIR}/include)
  file(RELATIVE_PATH STARLING_ARROW_RPATH ${CMAKE_BINARY_DIR}/lib ${STARLING_ARROW_DIR})
  set(STARLING_ARROW_RPATH "$ORIGIN/${STARLING_ARROW_RPATH}")
endif()
