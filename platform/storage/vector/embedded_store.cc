#include "platform/storage/vector/embedded_store.h"

#include <cstring>
#include <map>

#include "platform/base/snapshot.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/vector/embedded_collection.h"

namespace starling::vector {
namespace {

constexpr EmbeddedFile kMigrations[] = {
    {"0001_vectors.sql",
     "CREATE TABLE collection (name TEXT PRIMARY KEY, dimension INTEGER NOT NULL,"
     " metric TEXT NOT NULL, items INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
     // Little-endian floats, as this machine has them.
     "CREATE TABLE item (collection TEXT NOT NULL, id TEXT NOT NULL, floats BLOB NOT NULL,"
     " PRIMARY KEY (collection, id)) WITHOUT ROWID, STRICT;"}};

// A scan of so many values takes about as long as the way to the pool and back, ten times.
constexpr size_t kScannedHere = size_t{1} << 20;

sql::BlobView BytesOf(std::span<const float> values) {
  return {{reinterpret_cast<const char*>(values.data()), values.size_bytes()}};
}

Status Insert(sql::Transaction& transaction, const std::string& name, const Batch& items,
              size_t i) {
  return transaction.Execute("INSERT INTO item (collection, id, floats) VALUES (?1, ?2, ?3)", name,
                             items.ids()[i], BytesOf(items.row(i)));
}

Status Count(sql::Transaction& transaction, const std::string& name, int64_t items) {
  return transaction.Execute("UPDATE collection SET items = ?2 WHERE name = ?1", name, items);
}

struct Row {
  Shape shape;
  int64_t items = 0;
};

// NOT_FOUND when there is none.
StatusOr<Row> Find(sql::Connection& connection, const std::string& name) {
  STARLING_ASSIGN_OR_RETURN(const std::optional<Row> row,
                            connection.QueryOne(
                                "SELECT dimension, metric, items FROM collection WHERE name = ?1",
                                [](const sql::Row& row) -> StatusOr<Row> {
                                  STARLING_ASSIGN_OR_RETURN(const Metric metric,
                                                            ParseMetric(row.Text(1)));
                                  return Row{{static_cast<size_t>(row.Int(0)), metric}, row.Int(2)};
                                },
                                name));
  if (!row.has_value()) return NoCollection(name);
  return *row;
}

class EmbeddedStore final : public Store {
 public:
  using Collection = std::shared_ptr<const EmbeddedCollection>;
  using Collections = std::map<std::string, Collection, std::less<>>;

  EmbeddedStore(MakeIndex make_index, BlockingPool& pool)
      : make_index_(std::move(make_index)), pool_(pool) {}

  Status Open(const std::filesystem::path& path) {
    STARLING_ASSIGN_OR_RETURN(
        database_, sql::Database::Open({.path = path, .reader_threads = 1}, kMigrations));
    auto collections = std::make_shared<Collections>();
    STARLING_RETURN_IF_ERROR(database_->ReadSync([&](sql::Connection& connection) -> Status {
      STARLING_ASSIGN_OR_RETURN(
          const std::vector<std::string> names,
          connection.QueryAll("SELECT name FROM collection",
                              [](const sql::Row& row) { return std::string(row.Text(0)); }));
      for (const std::string& name : names) {
        STARLING_ASSIGN_OR_RETURN((*collections)[name], Load(connection, name));
      }
      return OkStatus();
    }));
    collections_.store(std::move(collections));
    return OkStatus();
  }

  Task<Status> Replace(std::string_view collection, Shape shape, Batch items) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    CO_RETURN_IF_ERROR(CheckShape(shape));
    const std::string name(collection);
    std::shared_ptr<EmbeddedCollection> made;
    const Status prepared = co_await pool_.Run([&]() -> Status {
      STARLING_RETURN_IF_ERROR(CheckBatch(shape, items, kMaxItems));
      made = EmbeddedCollection::Make(shape, items);
      return made->AddIndex(make_index_);
    });
    if (!prepared.ok()) co_return prepared;
    Status written = co_await database_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM collection WHERE name = ?1", name));
      STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM item WHERE collection = ?1", name));
      STARLING_ASSIGN_OR_RETURN(
          const std::optional<int64_t> others,
          transaction.QueryOne("SELECT count(*) FROM collection",
                               [](const sql::Row& row) { return row.Int(0); }));
      if (*others >= static_cast<int64_t>(kMaxCollections)) return TooManyCollections();
      STARLING_RETURN_IF_ERROR(transaction.Execute(
          "INSERT INTO collection (name, dimension, metric, items) VALUES (?1, ?2, ?3, ?4)", name,
          shape.dimension, Name(shape.metric), items.size()));
      for (size_t i = 0; i < items.size(); ++i)
        STARLING_RETURN_IF_ERROR(Insert(transaction, name, items, i));
      transaction.OnCommit([this, name, made] { Publish(name, made); });
      return OkStatus();
    });
    co_return written;
  }

  Task<Status> Upsert(std::string_view collection, Batch items) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    const std::string name(collection);
    const auto changes = std::make_shared<const Batch>(std::move(items));
    Status written = co_await database_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_ASSIGN_OR_RETURN(const Row row, Find(transaction, name));
      STARLING_RETURN_IF_ERROR(CheckBatch(row.shape, *changes, kMaxBatch));
      int64_t count = row.items;
      for (size_t i = 0; i < changes->size(); ++i) {
        STARLING_RETURN_IF_ERROR(
            transaction.Execute("UPDATE item SET floats = ?3 WHERE collection = ?1 AND id = ?2",
                                name, changes->ids()[i], BytesOf(changes->row(i))));
        if (transaction.changes() > 0) continue;
        STARLING_RETURN_IF_ERROR(Insert(transaction, name, *changes, i));
        ++count;
      }
      if (count > static_cast<int64_t>(kMaxItems)) {
        return TooManyItems(name, static_cast<size_t>(count));
      }
      // Hooks run in the order of commits, so each sees what the one before has made.
      transaction.OnCommit([this, name, changes] { Publish(name, At(name)->With(*changes)); });
      return Count(transaction, name, count);
    });
    co_return written;
  }

  Task<Status> Remove(std::string_view collection, std::span<const std::string> ids) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    CO_RETURN_IF_ERROR(CheckIds("ids", ids, kMaxBatch));
    const std::string name(collection);
    const auto gone = std::make_shared<const std::vector<std::string>>(ids.begin(), ids.end());
    Status written = co_await database_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_ASSIGN_OR_RETURN(const Row row, Find(transaction, name));
      int64_t count = row.items;
      for (const std::string& id : *gone) {
        STARLING_RETURN_IF_ERROR(
            transaction.Execute("DELETE FROM item WHERE collection = ?1 AND id = ?2", name, id));
        count -= transaction.changes();
      }
      transaction.OnCommit([this, name, gone] { Publish(name, At(name)->Without(*gone)); });
      return Count(transaction, name, count);
    });
    co_return written;
  }

  Task<Status> Drop(std::string_view collection) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    const std::string name(collection);
    Status written = co_await database_->Write([&](sql::Transaction& transaction) -> Status {
      transaction.OnCommit([this, name] { Publish(name, nullptr); });
      STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM item WHERE collection = ?1", name));
      return transaction.Execute("DELETE FROM collection WHERE name = ?1", name);
    });
    co_return written;
  }

  Task<StatusOr<std::vector<Hit>>> Nearest(std::string_view collection,
                                           const Query& query) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    CO_RETURN_IF_ERROR(CheckQuery(query));
    const Collection found = At(collection);
    if (found == nullptr) co_return NoCollection(collection);
    CO_RETURN_IF_ERROR(CheckQuery(found->shape(), query));
    if (found->has_index() || found->size() * found->shape().dimension <= kScannedHere)
      co_return found->Nearest(query);
    auto hits =
        co_await pool_.Run([&]() -> StatusOr<std::vector<Hit>> { return found->Nearest(query); });
    co_return hits;
  }

  Task<StatusOr<About>> Describe(std::string_view collection) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    const Collection found = At(collection);
    if (found == nullptr) co_return NoCollection(collection);
    co_return About{found->shape(), found->size()};
  }

  Task<StatusOr<std::vector<std::string>>> List() override {
    std::vector<std::string> names;
    for (const auto& [name, collection] : *collections_.load()) names.push_back(name);
    co_return names;
  }

  bool IsShared() const override { return false; }

 private:
  Collection At(std::string_view name) const {
    const auto collections = collections_.load();
    const auto at = collections->find(name);
    return at == collections->end() ? nullptr : at->second;
  }

  // Hooks come one after the other; nullptr takes it away.
  void Publish(const std::string& name, Collection collection) {
    auto changed = std::make_shared<Collections>(*collections_.load());
    if (collection == nullptr) {
      changed->erase(name);
    } else {
      (*changed)[name] = std::move(collection);
    }
    collections_.store(std::move(changed));
  }

  StatusOr<Collection> Load(sql::Connection& connection, const std::string& name) const {
    STARLING_ASSIGN_OR_RETURN(const Row row, Find(connection, name));
    Batch items(row.shape.dimension);
    std::vector<float> values(row.shape.dimension);
    STARLING_RETURN_IF_ERROR(connection.Query(
        "SELECT id, floats FROM item WHERE collection = ?1",
        [&](const sql::Row& item) -> Status {
          const std::string_view bytes = item.Bytes(1);
          if (bytes.size() != values.size() * sizeof(float)) {
            return DataLoss("the vector of '{}' in collection '{}' has {} bytes, not {}",
                            item.Text(0), name, bytes.size(), values.size() * sizeof(float));
          }
          std::memcpy(values.data(), bytes.data(), bytes.size());
          items.Add(item.Text(0), values);
          return OkStatus();
        },
        name));
    std::shared_ptr<EmbeddedCollection> made = EmbeddedCollection::Make(row.shape, items);
    STARLING_RETURN_IF_ERROR(made->AddIndex(make_index_));
    return made;
  }

  const MakeIndex make_index_;
  BlockingPool& pool_;
  Snapshot<Collections> collections_{std::make_shared<const Collections>()};
  std::unique_ptr<sql::Database> database_;  // last: its hooks publish
};

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenEmbedded(EmbeddedOptions options, BlockingPool& pool) {
  auto store = std::make_unique<EmbeddedStore>(std::move(options.make_index), pool);
  STARLING_RETURN_IF_ERROR(store->Open(options.path));
  return store;
}

}  // namespace starling::vector
