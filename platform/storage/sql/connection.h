// What a Read or Write function works on: statements, rows, and in a Write the hooks for after the
// commit.
//
//   [&](sql::Transaction& transaction) -> StatusOr<int64_t> {
//     STARLING_RETURN_IF_ERROR(
//         transaction.Execute("UPDATE stock SET left = left - ?2 WHERE sku = ?1", sku, amount));
//     if (transaction.changes() == 0) return NotFound("sku '{}' is not stocked", sku);
//     STARLING_ASSIGN_OR_RETURN(
//         std::optional<int64_t> left,
//         transaction.QueryOne("SELECT left FROM stock WHERE sku = ?1",
//                              [](const sql::Row& row) { return row.Int(0); }, sku));
//     transaction.OnCommit([this, view = MakeView()] { snapshot_.store(view); });
//     return *left;
//   }
//
// Arguments are bound by position, ?1 onwards; their number must match. One statement a call. The
// port speaks the SQL that engines share; transaction control (BEGIN, COMMIT, ROLLBACK, SAVEPOINT),
// PRAGMA and ATTACH are the adapter's and refused. Statements are prepared once and cached by their
// text, so keep the text constant and bind what varies.
//
// Errors:
//   ALREADY_EXISTS       a unique key is taken
//   FAILED_PRECONDITION  a foreign key does not hold, or a Read writes
//   INVALID_ARGUMENT     a NOT NULL or CHECK does not hold, or an argument does not fit
//   DEADLINE_EXCEEDED    the statement ran longer than Options::statement_timeout
//   INTERNAL             the SQL is wrong
//   ABORTED              the transaction has already failed, or (PostgreSQL) clashed with another
//   UNAVAILABLE, RESOURCE_EXHAUSTED, DATA_LOSS  the storage failed, see sql.h
// After an error return it: PostgreSQL has then given the transaction up, and a function that goes
// on and returns OK is refused with that error.
//
// Used by one thread: that which runs the function. Never keep a Connection, a Row or a view of it.
#pragma once

#include <absl/functional/function_ref.h>

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "platform/base/status.h"
#include "platform/storage/sql/value.h"

namespace starling::sql {

// One row of a result, valid until the function that received it returns. Columns count from 0.
// NULL reads as 0, 0.0 or empty; a number reads as text in decimal, and text as the number it
// begins with.
class Row {
 public:
  virtual int columns() const = 0;
  virtual bool IsNull(int column) const = 0;
  virtual int64_t Int(int column) const = 0;
  virtual double Real(int column) const = 0;
  virtual std::string_view Text(int column) const = 0;
  virtual std::string_view Bytes(int column) const = 0;
  virtual Value Get(int column) const = 0;

 protected:
  ~Row() = default;
};

// What an adapter implements for one connection.
class Session {
 public:
  virtual ~Session() = default;
  // Runs one statement, with each row of its result; the first error of `each_row` ends it and is
  // returned.
  virtual Status Run(std::string_view sql, std::span<const Argument> arguments,
                     absl::FunctionRef<Status(const Row&)> each_row) = 0;
  // The same without rows, and without waiting where the engine can do so: `changed` may be null,
  // and is set when Settle returns at the latest.
  virtual Status Post(std::string_view sql, std::span<const Argument> arguments, int64_t* changed) {
    const Status status = Run(sql, arguments, [](const Row&) { return OkStatus(); });
    if (changed != nullptr) *changed = changes();
    return status;
  }
  virtual Status Settle() { return OkStatus(); }
  virtual int64_t changes() const = 0;
};

namespace internal {
template <typename T>
struct Unwrapped {
  using type = T;
};
template <typename T>
struct Unwrapped<StatusOr<T>> {
  using type = T;
};
// What a row function gives, without StatusOr.
template <typename F>
using Mapped = typename Unwrapped<std::decay_t<std::invoke_result_t<F&, const Row&>>>::type;
}  // namespace internal

class Connection {
 public:
  explicit Connection(Session& session) : session_(session) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs a statement for its effect; rows are dropped.
  template <typename... A>
  Status Execute(std::string_view sql, const A&... arguments) {
    const std::array<Argument, sizeof...(A)> bound{Argument(arguments)...};
    return session_.Run(sql, bound, [](const Row&) { return OkStatus(); });
  }

  // each_row(const Row&) returns Status, of which the first error ends the query, or void.
  template <typename F, typename... A>
  Status Query(std::string_view sql, F&& each_row, const A&... arguments) {
    const std::array<Argument, sizeof...(A)> bound{Argument(arguments)...};
    return QueryBound(sql, bound, std::forward<F>(each_row));
  }

  // The same with arguments whose number is known at run time only.
  template <typename F>
  Status QueryBound(std::string_view sql, std::span<const Argument> arguments, F&& each_row) {
    return session_.Run(sql, arguments, [&each_row](const Row& row) -> Status {
      if constexpr (std::is_void_v<std::invoke_result_t<F&, const Row&>>) {
        each_row(row);
        return OkStatus();
      } else {
        return each_row(row);
      }
    });
  }
  Status ExecuteBound(std::string_view sql, std::span<const Argument> arguments) {
    return session_.Run(sql, arguments, [](const Row&) { return OkStatus(); });
  }

  // The first row as `map` (const Row& -> T or StatusOr<T>) gives it; nullopt when there is none.
  // Later rows are read and dropped: say LIMIT 1 where there may be many.
  template <typename F, typename... A>
  StatusOr<std::optional<internal::Mapped<F>>> QueryOne(std::string_view sql, F&& map,
                                                        const A&... arguments) {
    std::optional<internal::Mapped<F>> first;
    const Status status = Query(
        sql,
        [&](const Row& row) -> Status {
          if (first.has_value()) return OkStatus();
          return Keep(map(row),
                      [&](auto&& value) { first.emplace(std::forward<decltype(value)>(value)); });
        },
        arguments...);
    if (!status.ok()) return status;
    return first;
  }

  // All rows; the bound is the statement's own LIMIT.
  template <typename F, typename... A>
  StatusOr<std::vector<internal::Mapped<F>>> QueryAll(std::string_view sql, F&& map,
                                                      const A&... arguments) {
    std::vector<internal::Mapped<F>> all;
    const Status status = Query(
        sql,
        [&](const Row& row) -> Status {
          return Keep(map(row),
                      [&](auto&& value) { all.push_back(std::forward<decltype(value)>(value)); });
        },
        arguments...);
    if (!status.ok()) return status;
    return all;
  }

  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t changes() const { return session_.changes(); }

 private:
  template <typename T, typename Store>
  static Status Keep(T&& mapped, Store store) {
    if constexpr (std::is_same_v<typename internal::Unwrapped<std::decay_t<T>>::type,
                                 std::decay_t<T>>) {
      store(std::forward<T>(mapped));
    } else {
      if (!mapped.ok()) return mapped.status();
      store(*std::forward<T>(mapped));
    }
    return OkStatus();
  }

  friend class Transaction;
  Session& session_;
};

// A Connection that may write. Everything in it becomes durable together, or none of it does.
class Transaction final : public Connection {
 public:
  using Connection::Connection;

  // As Execute, for one statement of many: PostgreSQL is not waited for, so that a thousand take
  // few round trips. What comes later in the transaction sees its effect; its error may show only
  // then, at the latest as the error of the whole write. changes() does not count it.
  template <typename... A>
  Status Post(std::string_view sql, const A&... arguments) {
    const std::array<Argument, sizeof...(A)> bound{Argument(arguments)...};
    return session_.Post(sql, bound, nullptr);
  }
  // And says how many rows it has changed, once Settle has returned; `changed` must live until
  // then.
  template <typename... A>
  Status PostCounted(int64_t& changed, std::string_view sql, const A&... arguments) {
    const std::array<Argument, sizeof...(A)> bound{Argument(arguments)...};
    return session_.Post(sql, bound, &changed);
  }
  // Waits for all that was posted; its first error.
  Status Settle() { return session_.Settle(); }

  // Runs after the durable commit, on a writer thread, before the caller of Write is resumed: this
  // is where a service publishes its immutable snapshot. Hooks run one after the other, those of a
  // write that depends on another after the other's. Dropped when the transaction does not commit.
  // Keep it short, all writes wait for it; it must not throw, and it must not call WriteSync or
  // ReadSync (which refuse there).
  void OnCommit(std::function<void()> hook) { hooks_.push_back(std::move(hook)); }

  // For adapters: the hooks, in order.
  std::vector<std::function<void()>> TakeHooks() { return std::exchange(hooks_, {}); }

 private:
  std::vector<std::function<void()>> hooks_;
};

}  // namespace starling::sql
