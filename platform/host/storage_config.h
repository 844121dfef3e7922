// The section `storage`: on which engines services keep what is theirs. No service knows.
//
//   storage:
//     sql:
//       url_file: /run/secrets/postgres      # postgresql://user:password@host:5432/database
//       services: {profile: {url: ...}}      # one that is elsewhere
//     kv:
//       engine: redis
//       url_file: /run/secrets/redis         # redis://user:password@host:6379/0
//     blob:
//       engine: s3
//       url: http://minio:9000
//       bucket: shop
//       access_key_file: /run/secrets/s3-access
//       secret_key_file: /run/secrets/s3-secret
//     vector:
//       engine: pgvector                     # on the server of sql, unless it has a url
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "platform/config/fields.h"
#include "platform/storage/blob/s3/options.h"
#include "platform/storage/blob/store.h"
#include "platform/storage/kv/redis/redis_store.h"

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

struct KvStorageConfig {
  enum class Engine { kRocksDb, kRedis };
  Engine engine = Engine::kRocksDb;
  config::Secret url;
  std::string prefix = "starling";
  kv::RedisKeeps keeps = kv::RedisKeeps::kEverySecond;

  static void Describe(config::Fields<KvStorageConfig>& fields) {
    fields
        .AddEnum("engine", &KvStorageConfig::engine,
                 {{"rocksdb", Engine::kRocksDb}, {"redis", Engine::kRedis}},
                 "where what is looked up by key is: rocksdb (files in the data folder) or redis")
        .NeedsRestart();
    fields
        .Add("url", &KvStorageConfig::url,
             "the server, or nodes of a cluster: redis://user:password@host:6379,host:6380/0")
        .NeedsRestart();
    fields
        .Add("prefix", &KvStorageConfig::prefix,
             "what the keys of this installation begin with, so that several may share a server")
        .Check([](const std::string& prefix) -> std::string {
          const bool plain =
              !prefix.empty() && prefix.find_first_of("{} \r\n") == std::string::npos;
          return plain ? "" : "a name without braces and blanks";
        })
        .NeedsRestart();
    fields
        .AddEnum(
            "keeps", &KvStorageConfig::keeps,
            {{"always", kv::RedisKeeps::kAlways},
             {"every_second", kv::RedisKeeps::kEverySecond},
             {"nothing", kv::RedisKeeps::kNothing}},
            "what the server must keep of what it acknowledged, or nothing starts on it: always "
            "(appendfsync always), every_second (an AOF; a loss of power takes the last second), "
            "nothing")
        .NeedsRestart();
    fields.Check([](const KvStorageConfig& kv) -> std::string {
      return kv.engine == Engine::kRedis && kv.url.empty()
                 ? "engine is redis: say where it is by url"
                 : "";
    });
  }
};

struct BlobStorageConfig {
  enum class Engine { kFolder, kS3 };
  Engine engine = Engine::kFolder;
  std::string url;
  std::string bucket;
  std::string prefix = "starling";
  std::string region = "us-east-1";
  blob::s3::Addressing addressing = blob::s3::Addressing::kPath;
  config::Secret access_key;
  config::Secret secret_key;

  static void Describe(config::Fields<BlobStorageConfig>& fields) {
    fields
        .AddEnum("engine", &BlobStorageConfig::engine,
                 {{"folder", Engine::kFolder}, {"s3", Engine::kS3}},
                 "where whole files such as models are: folder (in the data folder) or s3")
        .NeedsRestart();
    fields
        .Add("url", &BlobStorageConfig::url,
             "the S3 service, without the bucket: http://host:9000; no TLS")
        .NeedsRestart();
    fields.Add("bucket", &BlobStorageConfig::bucket, "the bucket, which must be there")
        .NeedsRestart();
    fields
        .Add("prefix", &BlobStorageConfig::prefix,
             "what the keys of this installation begin with, so that several may share a bucket")
        .Check([](const std::string& prefix) -> std::string {
          return blob::CheckKey(prefix).ok() ? "" : "a name of letters, digits and . _ - /";
        })
        .NeedsRestart();
    fields.Add("region", &BlobStorageConfig::region, "the region that requests are signed for")
        .NeedsRestart();
    fields
        .AddEnum("addressing", &BlobStorageConfig::addressing,
                 {{"path", blob::s3::Addressing::kPath},
                  {"virtual_host", blob::s3::Addressing::kVirtualHost}},
                 "where the bucket's name goes: path (http://host/bucket/key) or virtual_host "
                 "(http://bucket.host/key)")
        .NeedsRestart();
    fields.Add("access_key", &BlobStorageConfig::access_key, "whose requests they are")
        .NeedsRestart();
    fields.Add("secret_key", &BlobStorageConfig::secret_key, "what they are signed with")
        .NeedsRestart();
    fields.Check([](const BlobStorageConfig& blob) -> std::string {
      return blob.engine == Engine::kS3 && (blob.url.empty() || blob.bucket.empty() ||
                                            blob.access_key.empty() || blob.secret_key.empty())
                 ? "engine is s3: give url, bucket, access_key and secret_key"
                 : "";
    });
  }
};

struct VectorStorageConfig {
  enum class Engine { kEmbedded, kPgVector };
  Engine engine = Engine::kEmbedded;
  config::Secret url;

  static void Describe(config::Fields<VectorStorageConfig>& fields) {
    fields
        .AddEnum("engine", &VectorStorageConfig::engine,
                 {{"embedded", Engine::kEmbedded}, {"pgvector", Engine::kPgVector}},
                 "where vectors are: embedded (in memory, kept in the data folder) or pgvector (a "
                 "PostgreSQL server with the extension vector, 0.5 or newer)")
        .NeedsRestart();
    fields
        .Add("url", &VectorStorageConfig::url,
             "the server of pgvector, a schema a service; empty: storage.sql.url")
        .NeedsRestart();
  }
};

struct StorageConfig {
  SqlStorageConfig sql;
  KvStorageConfig kv;
  BlobStorageConfig blob;
  VectorStorageConfig vector;
  static void Describe(config::Fields<StorageConfig>& fields) {
    fields.Add("sql", &StorageConfig::sql, "tables");
    fields.Add("kv", &StorageConfig::kv, "what is looked up by key");
    fields.Add("blob", &StorageConfig::blob, "whole files");
    fields.Add("vector", &StorageConfig::vector, "what is looked for by likeness");
    fields.Check([](const StorageConfig& storage) -> std::string {
      return storage.vector.engine == VectorStorageConfig::Engine::kPgVector &&
                     storage.vector.url.empty() && storage.sql.url.empty()
                 ? "vector.engine is pgvector: say where it is by vector.url or sql.url"
                 : "";
    });
  }
};

}  // namespace starling::host
