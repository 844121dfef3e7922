#include "platform/storage/vector/pgvector/pgvector_store.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "platform/base/hash.h"
#include "platform/base/id.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/vector/pgvector/extension.h"
#include "platform/storage/vector/scan.h"

namespace starling::vector {
namespace {

constexpr EmbeddedFile kMigrations[] = {
    {"0001_vectors.sql",
     "CREATE TABLE collection (name TEXT PRIMARY KEY, dimension INTEGER NOT NULL,"
     " metric TEXT NOT NULL, items TEXT NOT NULL, indexed INTEGER NOT NULL)"}};

// What the server rounds otherwise than scan.h: so many more are asked for.
constexpr size_t kSlack = 16;
constexpr size_t kLeastSearched = 200;  // hnsw.ef_search
constexpr size_t kMostSearched = 1'000;

// "[0.5,-1]": the shortest digits that give the same float back.
std::string TextOf(std::span<const float> values) {
  return fmt::format("[{}]", fmt::join(values, ","));
}

// What vector_send gives: dimension and 0 in 16 bits, then floats, all big-endian.
StatusOr<std::vector<float>> FloatsOf(std::string_view bytes, size_t dimension) {
  if (bytes.size() != 4 + 4 * dimension) {
    return DataLoss("a vector of {} values came as {} bytes", dimension, bytes.size());
  }
  std::vector<float> values(dimension);
  for (size_t i = 0; i < dimension; ++i) {
    uint32_t bits = 0;
    for (size_t b = 0; b < 4; ++b) {
      bits = bits << 8 | static_cast<unsigned char>(bytes[4 + 4 * i + b]);
    }
    values[i] = std::bit_cast<float>(bits);
  }
  return values;
}

// A row of `collection`.
struct Row {
  Shape shape;
  std::string table;
  bool indexed = false;
};

StatusOr<std::optional<Row>> TryFind(sql::Connection& connection, const std::string& name) {
  return connection.QueryOne(
      "SELECT dimension, metric, items, indexed FROM collection WHERE name = ?1",
      [](const sql::Row& row) -> StatusOr<Row> {
        STARLING_ASSIGN_OR_RETURN(const Metric metric, ParseMetric(row.Text(1)));
        return Row{
            {static_cast<size_t>(row.Int(0)), metric}, std::string(row.Text(2)), row.Int(3) != 0};
      },
      name);
}

StatusOr<Row> Find(sql::Connection& connection, const std::string& name) {
  STARLING_ASSIGN_OR_RETURN(std::optional<Row> row, TryFind(connection, name));
  if (!row.has_value()) return NoCollection(name);
  return *std::move(row);
}

StatusOr<size_t> CountOf(sql::Connection& connection, const std::string& table) {
  STARLING_ASSIGN_OR_RETURN(const std::optional<int64_t> count,
                            connection.QueryOne(fmt::format("SELECT count(*) FROM {}", table),
                                                [](const sql::Row& row) { return row.Int(0); }));
  return static_cast<size_t>(*count);
}

class PgVectorStore final : public Store {
 public:
  PgVectorStore(std::unique_ptr<sql::Database> changes, std::unique_ptr<sql::Database> queries,
                Extension extension)
      : extension_(std::move(extension)),
        changes_(std::move(changes)),
        queries_(std::move(queries)) {}

  Task<Status> Replace(std::string_view collection, Shape shape, Batch items) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    CO_RETURN_IF_ERROR(CheckShape(shape));
    const std::string name(collection);
    Status written = co_await changes_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_RETURN_IF_ERROR(CheckBatch(shape, items, kMaxItems));
      STARLING_ASSIGN_OR_RETURN(const std::optional<Row> before, TryFind(transaction, name));
      STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM collection WHERE name = ?1", name));
      STARLING_ASSIGN_OR_RETURN(const size_t others, CountOf(transaction, "collection"));
      if (others >= kMaxCollections) return TooManyCollections();
      Row row{shape, "items_" + NewId(), false};
      STARLING_RETURN_IF_ERROR(transaction.Execute(
          fmt::format("CREATE TABLE {} (id TEXT PRIMARY KEY, embedding {} NOT NULL)", row.table,
                      extension_.Type(shape.dimension))));
      const std::string insert = fmt::format("INSERT INTO {} (id, embedding) VALUES (?1, ?2::{})",
                                             row.table, extension_.Type(shape.dimension));
      for (size_t i = 0; i < items.size(); ++i) {
        STARLING_RETURN_IF_ERROR(transaction.Post(insert, items.ids()[i], TextOf(items.row(i))));
      }
      STARLING_RETURN_IF_ERROR(transaction.Settle());
      if (items.size() >= kIndexFrom) STARLING_RETURN_IF_ERROR(AddIndex(transaction, row));
      STARLING_RETURN_IF_ERROR(transaction.Execute(
          "INSERT INTO collection (name, dimension, metric, items, indexed)"
          " VALUES (?1, ?2, ?3, ?4, ?5)",
          name, shape.dimension, Name(shape.metric), row.table, row.indexed ? 1 : 0));
      if (!before.has_value()) return OkStatus();
      return transaction.Execute(fmt::format("DROP TABLE {}", before->table));
    });
    co_return written;
  }

  Task<Status> Upsert(std::string_view collection, Batch items) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    const std::string name(collection);
    Status written = co_await changes_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_ASSIGN_OR_RETURN(Row row, Find(transaction, name));
      STARLING_RETURN_IF_ERROR(CheckBatch(row.shape, items, kMaxBatch));
      const std::string insert = fmt::format(
          "INSERT INTO {} (id, embedding) VALUES (?1, ?2::{})"
          " ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding",
          row.table, extension_.Type(row.shape.dimension));
      for (size_t i = 0; i < items.size(); ++i) {
        STARLING_RETURN_IF_ERROR(transaction.Post(insert, items.ids()[i], TextOf(items.row(i))));
      }
      STARLING_RETURN_IF_ERROR(transaction.Settle());
      STARLING_ASSIGN_OR_RETURN(const size_t count, CountOf(transaction, row.table));
      if (count > kMaxItems) return TooManyItems(name, count);
      if (count < kIndexFrom || row.indexed) return OkStatus();
      STARLING_RETURN_IF_ERROR(AddIndex(transaction, row));
      return transaction.Execute("UPDATE collection SET indexed = 1 WHERE name = ?1", name);
    });
    co_return written;
  }

  Task<Status> Remove(std::string_view collection, std::span<const std::string> ids) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    CO_RETURN_IF_ERROR(CheckIds("ids", ids, kMaxBatch));
    const std::string name(collection);
    Status written = co_await changes_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_ASSIGN_OR_RETURN(const Row row, Find(transaction, name));
      const std::string remove = fmt::format("DELETE FROM {} WHERE id = ?1", row.table);
      for (const std::string& id : ids) STARLING_RETURN_IF_ERROR(transaction.Post(remove, id));
      return OkStatus();
    });
    co_return written;
  }

  Task<Status> Drop(std::string_view collection) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    const std::string name(collection);
    Status written = co_await changes_->Write([&](sql::Transaction& transaction) -> Status {
      STARLING_ASSIGN_OR_RETURN(const std::optional<Row> row, TryFind(transaction, name));
      if (!row.has_value()) return OkStatus();
      STARLING_RETURN_IF_ERROR(transaction.Execute("DELETE FROM collection WHERE name = ?1", name));
      return transaction.Execute(fmt::format("DROP TABLE {}", row->table));
    });
    co_return written;
  }

  Task<StatusOr<std::vector<Hit>>> Nearest(std::string_view collection,
                                           const Query& query) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    CO_RETURN_IF_ERROR(CheckQuery(query));
    const std::string name(collection);
    auto hits = co_await ReadItems<std::vector<Hit>>(
        name, [&](sql::Connection& connection, const Row& row) -> StatusOr<std::vector<Hit>> {
          STARLING_RETURN_IF_ERROR(CheckQuery(row.shape, query));
          return Search(connection, row, query);
        });
    co_return hits;
  }

  Task<StatusOr<About>> Describe(std::string_view collection) override {
    CO_RETURN_IF_ERROR(CheckCollection(collection));
    const std::string name(collection);
    auto about = co_await ReadItems<About>(
        name, [&](sql::Connection& connection, const Row& row) -> StatusOr<About> {
          STARLING_ASSIGN_OR_RETURN(const size_t count, CountOf(connection, row.table));
          return About{row.shape, count};
        });
    co_return about;
  }

  Task<StatusOr<std::vector<std::string>>> List() override {
    auto names = co_await queries_->Read([](sql::Connection& connection) {
      return connection.QueryAll("SELECT name FROM collection ORDER BY name",
                                 [](const sql::Row& row) { return std::string(row.Text(0)); });
    });
    co_return names;
  }

  bool IsShared() const override { return true; }

 private:
  // Gives f(connection, row) of the collection. A table may go between the look at its name and the
  // look at it; then it has another name by now, and f runs again.
  template <typename T, typename F>
  Task<StatusOr<T>> ReadItems(const std::string& name, const F& f) {
    std::string table;
    while (true) {
      bool again = false;
      StatusOr<T> result = co_await queries_->Read([&](sql::Connection& connection) -> StatusOr<T> {
        STARLING_ASSIGN_OR_RETURN(const Row row, Find(connection, name));
        again = table != row.table;
        table = row.table;
        return f(connection, row);
      });
      if (result.status().code() != StatusCode::kInternal || !again) co_return result;
    }
  }

  Status AddIndex(sql::Transaction& transaction, Row& row) const {
    row.indexed = true;
    // The graph is made in memory as long as it fits: by far the quicker way.
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("SELECT set_config('maintenance_work_mem', '512MB', true)"));
    return transaction.Execute(fmt::format("CREATE INDEX ON {} USING hnsw (embedding {})",
                                           row.table, extension_.OperatorClass(row.shape.metric)));
  }

  StatusOr<std::vector<Hit>> Search(sql::Connection& connection, const Row& row,
                                    const Query& query) const {
    const size_t wanted = query.k + query.excluded.size() + kSlack;
    if (row.indexed && 2 * wanted <= kMostSearched) {
      STARLING_RETURN_IF_ERROR(
          connection.Execute("SELECT set_config('hnsw.ef_search', ?1, true)",
                             std::to_string(std::max(kLeastSearched, 2 * wanted))));
      STARLING_ASSIGN_OR_RETURN(const size_t count, CountUpTo(connection, row, wanted));
      size_t given = 0;
      STARLING_ASSIGN_OR_RETURN(std::vector<Hit> hits,
                                Ask(connection, row, query, wanted, By::kIndex, given));
      if (given >= count) return hits;
    }
    size_t given = 0;
    return Ask(connection, row, query, wanted, By::kScan, given);
  }

  // Rows, but no more than `limit`.
  static StatusOr<size_t> CountUpTo(sql::Connection& connection, const Row& row, size_t limit) {
    STARLING_ASSIGN_OR_RETURN(
        const std::optional<int64_t> count,
        connection.QueryOne(
            fmt::format("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT ?1) AS first_rows",
                        row.table),
            [](const sql::Row& row) { return row.Int(0); }, limit));
    return static_cast<size_t>(*count);
  }

  enum class By { kIndex, kScan };
  // `given`: how many candidates the server had.
  StatusOr<std::vector<Hit>> Ask(sql::Connection& connection, const Row& row, const Query& query,
                                 size_t wanted, By by, size_t& given) const {
    const absl::flat_hash_set<std::string_view> excluded(query.excluded.begin(),
                                                         query.excluded.end());
    const std::string distance =
        fmt::format("embedding {} ?1::{}", extension_.Operator(row.shape.metric),
                    extension_.Type(row.shape.dimension));
    // No index orders by a sum.
    const std::string order = by == By::kIndex ? distance : fmt::format("({}) + 0, id", distance);
    std::vector<Hit> hits;
    STARLING_RETURN_IF_ERROR(connection.Query(
        fmt::format("SELECT id, {}.vector_send(embedding) FROM {} ORDER BY {} LIMIT ?2",
                    extension_.schema, row.table, order),
        [&](const sql::Row& found) -> Status {
          ++given;
          if (excluded.contains(found.Text(0))) return OkStatus();
          STARLING_ASSIGN_OR_RETURN(const std::vector<float> values,
                                    FloatsOf(found.Bytes(1), row.shape.dimension));
          hits.push_back(
              {std::string(found.Text(0)), Score(row.shape.metric, query.values, values)});
          return OkStatus();
        },
        TextOf(query.values), wanted));
    std::sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) {
      return a.score != b.score ? a.score > b.score : a.id < b.id;
    });
    if (hits.size() > query.k) hits.resize(query.k);
    return hits;
  }

  const Extension extension_;
  const std::unique_ptr<sql::Database> changes_;
  const std::unique_ptr<sql::Database> queries_;
};

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenPgVector(const PgVectorOptions& options) {
  STARLING_ASSIGN_OR_RETURN(std::unique_ptr<sql::Database> changes,
                            sql::Database::Open({.url = options.url,
                                                 .schema = options.schema,
                                                 .reader_threads = 1,
                                                 .writer_threads = 1,
                                                 .write_queue_limit = 16,
                                                 .statement_timeout = options.change_timeout},
                                                kMigrations));
  STARLING_ASSIGN_OR_RETURN(Extension extension, PrepareExtension(*changes));
  STARLING_ASSIGN_OR_RETURN(std::unique_ptr<sql::Database> queries,
                            sql::Database::Open({.url = options.url,
                                                 .schema = options.schema,
                                                 .reader_threads = 4,
                                                 .writer_threads = 1,
                                                 .read_queue_limit = 256,
                                                 .statement_timeout = options.query_timeout},
                                                kMigrations));
  return std::make_unique<PgVectorStore>(std::move(changes), std::move(queries),
                                         std::move(extension));
}

}  // namespace starling::vector
