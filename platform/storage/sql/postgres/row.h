// One row of a result of libpq, as the port reads it. For session.cc.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <vector>

#include "platform/storage/sql/connection.h"
#include "platform/storage/sql/postgres/wire.h"

namespace starling::sql {

class PostgresRow final : public Row {
 public:
  PostgresRow(const PGresult* result, int row) : result_(result), row_(row) {}
  int columns() const override { return PQnfields(result_); }
  bool IsNull(int column) const override { return PQgetisnull(result_, row_, column) != 0; }
  int64_t Int(int column) const override { return At(column).Int(); }
  double Real(int column) const override { return At(column).Real(); }
  std::string_view Text(int column) const override {
    if (column < 0 || column >= columns()) return {};
    // Views of several columns live until the row's function returns.
    if (texts_.empty()) texts_.resize(static_cast<size_t>(columns()));
    return At(column).Text(texts_[static_cast<size_t>(column)]);
  }
  std::string_view Bytes(int column) const override { return Text(column); }
  Value Get(int column) const override { return At(column).Get(); }

 private:
  Column At(int column) const {
    return {static_cast<PostgresType>(PQftype(result_, column)),
            {PQgetvalue(result_, row_, column),
             static_cast<size_t>(PQgetlength(result_, row_, column))},
            IsNull(column)};
  }
  const PGresult* const result_;
  const int row_;
  mutable std::vector<std::string> texts_;
};

}  // namespace starling::sql
