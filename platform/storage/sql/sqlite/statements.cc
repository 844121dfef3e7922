#include "platform/storage/sql/sqlite/statements.h"

#include <sqlite3.h>

#include <algorithm>

namespace starling::sql {

SqliteStatements::Lease::~Lease() {
  if (statement_ == nullptr) return;
  if (kept_ == nullptr) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);  // they point into the arguments, which end now
  kept_->in_use = false;
}

std::optional<SqliteStatements::Lease> SqliteStatements::Find(std::string_view sql) {
  const auto found = by_sql_.find(sql);
  if (found == by_sql_.end() || found->second->in_use) return std::nullopt;
  kept_.splice(kept_.begin(), kept_, found->second);
  return Lease(&kept_.front());
}

SqliteStatements::Lease SqliteStatements::Add(std::string_view sql, Lease fresh) {
  if (by_sql_.contains(sql)) return fresh;
  if (kept_.size() >= limit_) {
    const auto oldest = std::find_if(kept_.rbegin(), kept_.rend(),
                                     [](const Prepared& prepared) { return !prepared.in_use; });
    if (oldest == kept_.rend()) return fresh;
    by_sql_.erase(oldest->sql);
    sqlite3_finalize(oldest->statement);
    kept_.erase(std::next(oldest).base());
  }
  kept_.push_front({std::string(sql), std::exchange(fresh.statement_, nullptr)});
  by_sql_.emplace(kept_.front().sql, kept_.begin());
  return Lease(&kept_.front());
}

void SqliteStatements::Clear() {
  by_sql_.clear();
  for (const Prepared& prepared : kept_) sqlite3_finalize(prepared.statement);
  kept_.clear();
}

}  // namespace starling::sql
