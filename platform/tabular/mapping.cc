#include "platform/tabular/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "platform/base/nearest.h"
#include "platform/tabular/mapping_cell.h"

namespace starling::tabular {
namespace {

// "Customer ID", "customer_id" and "CustomerID" are "customerid".
std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c == ' ' || c == '_' || c == '-' || c == '.') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return plain;
}

std::vector<size_t> Matching(const std::vector<std::string>& columns, std::string_view name) {
  std::vector<size_t> exact;
  std::vector<size_t> near;
  const std::string plain = Plain(name);
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] == name) exact.push_back(i);
    if (!plain.empty() && Plain(columns[i]) == plain) near.push_back(i);
  }
  return exact.empty() ? near : exact;
}

std::string Quoted(const std::vector<std::string>& names) {
  return names.empty() ? "no columns" : fmt::format("'{}'", fmt::join(names, "', '"));
}

// The nearest column to any accepted name, compared without case and spaces.
std::string NearestColumn(const FieldMapping& field, const std::vector<std::string>& columns) {
  std::vector<std::string> plain;
  plain.reserve(columns.size());
  for (const std::string& column : columns) plain.push_back(Plain(column));
  for (const std::string& name : field.from) {
    const std::string nearest = Nearest(Plain(name), plain);
    if (nearest.empty()) continue;
    const auto found = std::find(plain.begin(), plain.end(), nearest);
    return columns[static_cast<size_t>(found - plain.begin())];
  }
  return "";
}

}  // namespace

StatusOr<Mapping> Mapping::Make(std::vector<FieldMapping> fields) {
  std::vector<FieldViolation> violations;
  Mapping mapping;
  std::set<std::string> targets;
  for (FieldMapping& field : fields) {
    if (field.target.empty()) violations.push_back({"target", "a field has no name"});
    if (!targets.insert(field.target).second) {
      violations.push_back({field.target, "the field is there twice"});
    }
    if (field.from.empty()) field.from.push_back(field.target);
    TimeFormats times;
    if (field.type == FieldType::kTime) {
      StatusOr<TimeFormats> made = TimeFormats::Make(field.formats);
      if (made.ok()) {
        times = *std::move(made);
      } else {
        violations.push_back({field.target, std::string(made.status().message())});
      }
    } else if (!field.formats.empty() && !(field.type == FieldType::kNumber &&
                                           field.formats == std::vector<std::string>{"comma"})) {
      violations.push_back(
          {field.target, fmt::format("format {} is none for {}; number has comma, time has several",
                                     Quoted(field.formats), TypeName(field.type))});
    }
    std::string kept;
    if (field.default_value.has_value() &&
        !ConvertCell(Cell::Text(*field.default_value), field, times, kept).has_value()) {
      violations.push_back(
          {field.target, fmt::format("the default '{}' is not {}", ShownValue(*field.default_value),
                                     ExpectedOf(field, times))});
    }
    mapping.times_.push_back(std::move(times));
  }
  if (fields.empty()) violations.push_back({"fields", "there is none; name at least one"});
  if (!violations.empty()) return InvalidFields(std::move(violations));
  mapping.fields_ = std::move(fields);
  return mapping;
}

std::vector<std::string> Mapping::SourceNames() const {
  std::vector<std::string> names;
  for (const FieldMapping& field : fields_) {
    names.insert(names.end(), field.from.begin(), field.from.end());
  }
  return names;
}

StatusOr<MappedColumns> Mapping::Resolve(const std::vector<std::string>& columns,
                                         std::string_view source) const {
  std::vector<FieldViolation> violations;
  MappedColumns mapped;
  std::vector<bool> used(columns.size(), false);
  for (const FieldMapping& field : fields_) {
    std::vector<size_t>& found = mapped.of_field.emplace_back();
    for (const std::string& name : field.from) {
      const std::vector<size_t> matching = Matching(columns, name);
      if (matching.size() > 1) {
        violations.push_back(
            {field.target,
             fmt::format("'{}' has two columns for '{}', number {} '{}' and number {} "
                         "'{}'; rename one of them",
                         source, name, matching[0] + 1, columns[matching[0]], matching[1] + 1,
                         columns[matching[1]])});
      }
      if (matching.empty()) continue;
      used[matching[0]] = true;
      if (std::find(found.begin(), found.end(), matching[0]) == found.end()) {
        found.push_back(matching[0]);
      }
    }
    if (!found.empty() || field.presence == Presence::kOptional) continue;
    const std::string nearest = NearestColumn(field, columns);
    violations.push_back(
        {field.target,
         fmt::format("'{}' has no column {}; it has {}{}", source,
                     fmt::format("'{}'", fmt::join(field.from, "' or '")), Quoted(columns),
                     nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", nearest))});
  }
  if (!violations.empty()) return InvalidFields(std::move(violations));
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!used[i]) mapped.unused.push_back(columns[i]);
  }
  return mapped;
}

class MappedSource final : public RowSource {
 public:
  MappedSource(std::unique_ptr<RowSource> source, Mapping mapping, MappedColumns columns)
      : source_(std::move(source)), mapping_(std::move(mapping)), mapped_(std::move(columns)) {
    const size_t count = mapping_.fields().size();
    cells_.resize(count);
    kept_.resize(count);
    kept_defaults_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const FieldMapping& field = mapping_.fields()[i];
      columns_.push_back(field.target);
      Cell& value = defaults_.emplace_back();
      if (!field.default_value.has_value()) continue;
      value = ConvertCell(Cell::Text(*field.default_value), field, mapping_.times(i),
                          kept_defaults_[i])
                  .value_or(Cell());  // Make checked it
    }
  }

  const std::string& name() const override { return source_->name(); }
  const std::string& NameInFile(size_t column) const override {
    const std::vector<size_t>& from = mapped_.of_field[column];
    return from.empty() ? columns()[column] : source_->NameInFile(from[0]);
  }
  Position position() const override { return source_->position(); }
  Progress progress() const override { return source_->progress(); }

  StatusOr<Read> Next() override {
    STARLING_ASSIGN_OR_RETURN(const Read read, source_->Next());
    if (read == Read::kBadRow) bad_row_ = source_->bad_row();
    if (read != Read::kRow) return read;
    row_ = source_->row();
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (!Convert(i)) return Read::kBadRow;
    }
    row_.cells = cells_;
    return Read::kRow;
  }

 private:
  bool Convert(size_t index) {
    const FieldMapping& field = mapping_.fields()[index];
    const Row& from = source_->row();
    Cell& to = cells_[index];
    to = Cell();
    for (const size_t column : mapped_.of_field[index]) {
      const std::optional<Cell> value =
          ConvertCell(from[column], field, mapping_.times(index), kept_[index]);
      if (!value.has_value()) {
        return Bad(field, column, Fault::kValue,
                   fmt::format("expected {} for '{}'", ExpectedOf(field, mapping_.times(index)),
                               field.target));
      }
      to = *value;
      if (!Empty(to)) break;
    }
    if (to.is_null()) to = defaults_[index];
    if (field.presence == Presence::kRequired && Empty(to)) {
      const auto& columns = mapped_.of_field[index];
      return Bad(field, columns.empty() ? 0 : columns[0], Fault::kMissing,
                 fmt::format("'{}' is required and empty", field.target));
    }
    return true;
  }
  static bool Empty(const Cell& cell) {
    return cell.is_null() || (cell.kind() == Cell::Kind::kText && cell.text().empty());
  }
  bool Bad(const FieldMapping& field, size_t column, Fault fault, std::string reason) {
    const Row& from = source_->row();
    const bool known = column < source_->columns().size();
    bad_row_ = {source_->name(),
                from.number,
                from.line,
                known ? source_->columns()[column] : field.target,
                0,
                known ? ShownValue(CellText(from[column])) : "",
                fault,
                std::move(reason)};
    return false;
  }

  const std::unique_ptr<RowSource> source_;
  const Mapping mapping_;
  const MappedColumns mapped_;
  std::vector<Cell> cells_;
  std::vector<Cell> defaults_;
  std::vector<std::string> kept_;  // texts of cells that had none
  std::vector<std::string> kept_defaults_;
};

StatusOr<std::unique_ptr<RowSource>> Mapped(std::unique_ptr<RowSource> source, Mapping mapping) {
  STARLING_ASSIGN_OR_RETURN(MappedColumns columns,
                            mapping.Resolve(source->columns(), source->name()));
  return std::make_unique<MappedSource>(std::move(source), std::move(mapping), std::move(columns));
}

}  // namespace starling::tabular
