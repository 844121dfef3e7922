// The section `storage`: on which engines services keep what is theirs. No service knows.
//
//   storage:
//     sql:
//       url_file: /run/secrets/postgres      # postgresql://user:password@host:5432/database
//       services: {profile: {url: ...}}      # one that is elsewhere
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "platform/config/fields.h"

namespace starling::host {

struct ServiceSqlConfig {
  config::Secret url;
  static void Describe(config::Fields<ServiceSqlConfig>& fields) {
    fields.Add("url", &ServiceSqlConfig::url, "the server of this service's tables").NeedsRestart();
  }
};

struct SqlStorageConfig {
  config::Secret url;
  std::map<std::string, ServiceSqlConfig> services;

  // "" for a file in the data folder.
  std::string UrlOf(std::string_view service) const {
    const auto own = services.find(std::string(service));
    return own != services.end() ? own->second.url.Reveal() : url.Reveal();
  }
  static void Describe(config::Fields<SqlStorageConfig>& fields) {
    fields
        .Add("url", &SqlStorageConfig::url,
             "the server of all tables, a schema a service: "
             "postgresql://user:password@host:5432/database; empty: SQLite in the data folder")
        .NeedsRestart();
    fields
        .Add("services", &SqlStorageConfig::services,
             "services whose tables are elsewhere, by name; also `keys` and `idempotency`")
        .NeedsRestart();
  }
};

struct StorageConfig {
  SqlStorageConfig sql;
  static void Describe(config::Fields<StorageConfig>& fields) {
    fields.Add("sql", &StorageConfig::sql, "tables");
  }
};

}  // namespace starling::host
