// The database of a saga test: a file of its own, or, in a binary that postgres_tests.cc is linked
// into, one of its own on a PostgreSQL. For tests alone.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "platform/base/id.h"
#include "platform/storage/sql/sql.h"

namespace starling::saga {

class TestDatabase {
 public:
  inline static std::string (*make_url)() = nullptr;

  TestDatabase() {
    if (make_url != nullptr) {
      url_ = make_url();
    } else {
      std::filesystem::create_directories(folder_);
    }
  }
  ~TestDatabase() { std::filesystem::remove_all(folder_); }
  TestDatabase(const TestDatabase&) = delete;

  // Each a connection of its own to the one database. Must go before this.
  std::unique_ptr<sql::Database> Open() const {
    if (url_.empty()) return *sql::Database::Open({.path = folder_ / "t.sqlite"}, {});
    return *sql::Database::Open({.url = url_}, {});
  }

 private:
  const std::filesystem::path folder_ = std::filesystem::temp_directory_path() / NewId();
  std::string url_;
};

}  // namespace starling::saga
