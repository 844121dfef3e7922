#include "apps/starling/import/plain_files.h"

#include <cmath>
#include <set>

#include "apps/starling/import/row_reader.h"
#include "apps/starling/import/text.h"
#include "platform/base/hash.h"
#include "platform/base/nearest.h"
#include "platform/config/sources.h"

namespace starling::import {
namespace {

using tabular::Cell;
using tabular::FieldMapping;
using tabular::FieldType;
using tabular::Presence;

constexpr size_t kBatch = 1'000;
const std::vector<std::string> kTypes = {"view", "click",      "cart",  "purchase",
                                         "rate", "impression", "custom"};

std::vector<FieldMapping> FieldsOf(const std::string& kind) {
  const auto required = [](const char* name, FieldType type = FieldType::kText) {
    return FieldMapping{.target = name, .type = type, .presence = Presence::kRequired};
  };
  const auto optional = [](const char* name, FieldType type = FieldType::kText) {
    return FieldMapping{.target = name, .type = type};
  };
  if (kind == "products") {
    return {required("product_id"),
            required("title"),
            optional("description"),
            optional("categories"),
            optional("price", FieldType::kNumber),
            optional("currency"),
            optional("image_url"),
            optional("brand"),
            optional("availability")};
  }
  if (kind == "users") return {required("user_id"), optional("display_name")};
  return {required("user_id"),
          required("product_id"),
          required("type"),
          required("occurred_at", FieldType::kTime),
          optional("event_id"),
          optional("quantity", FieldType::kNumber),
          optional("price", FieldType::kNumber)};
}

// Our fields, with the mapping file's in place of those that it names; its others stay for users.
StatusOr<tabular::Mapping> MakeMapping(const std::string& kind, const std::string& mapping_file) {
  std::vector<FieldMapping> fields = FieldsOf(kind);
  if (mapping_file.empty()) return tabular::Mapping::Make(std::move(fields));
  STARLING_ASSIGN_OR_RETURN(const std::string text,
                            config::ReadSmallFile(mapping_file, kMaxMappingFile));
  STARLING_ASSIGN_OR_RETURN(const tabular::Mapping given,
                            tabular::Mapping::FromYaml(text, mapping_file));
  std::vector<std::string> known;
  for (const FieldMapping& field : fields) known.push_back(field.target);
  for (FieldMapping field : given.fields()) {
    const auto at = std::find(known.begin(), known.end(), field.target);
    if (at == known.end()) {
      if (kind != "users") {
        return InvalidField(mapping_file, "'{}' is no field of {}{}", field.target, kind,
                            DidYouMean(field.target, known));
      }
      fields.push_back(std::move(field));
      continue;
    }
    FieldMapping& own = fields[static_cast<size_t>(at - known.begin())];
    const Presence presence = own.presence;
    const FieldType type = own.type;
    own = std::move(field);
    if (presence == Presence::kRequired) own.presence = presence;
    own.type = type;
  }
  return tabular::Mapping::Make(std::move(fields));
}

class PlainFiles final : public Reader {
 public:
  PlainFiles(std::string kind, std::string file, tabular::Mapping mapping,
             tabular::RejectFile& rejects)
      : kind_(std::move(kind)),
        file_(std::move(file)),
        mapping_(std::move(mapping)),
        rejects_(rejects) {}

  std::vector<std::string> Stages() const override { return {kind_}; }

  Status Begin(const std::string&, const std::string& position, Telling) override {
    STARLING_ASSIGN_OR_RETURN(RowReader rows,
                              RowReader::Open(file_, mapping_, position, &rejects_));
    rows_ = std::make_unique<RowReader>(std::move(rows));
    return OkStatus();
  }

  StatusOr<Batch> Next() override {
    Batch batch;
    ids_.clear();
    for (size_t i = 0; i < kBatch; ++i) {
      STARLING_ASSIGN_OR_RETURN(const tabular::Row* row, rows_->Next());
      if (row == nullptr) {
        batch.last = true;
        break;
      }
      STARLING_RETURN_IF_ERROR(kind_ == "products" ? AddProduct(*row, batch)
                               : kind_ == "users"  ? AddUser(*row, batch)
                                                   : AddEvent(*row, batch));
    }
    batch.after = rows_->position();
    return batch;
  }

  StageProgress progress() const override {
    const tabular::Progress progress = rows_->progress();
    return {kind_, progress.rows_done, progress.Fraction()};
  }
  const Findings& findings() const override { return findings_; }

 private:
  // What a service would refuse ends an import; so each record is looked at here, and a bad one set
  // aside.
  Status CheckId(const tabular::Row& row, size_t field, bool& good) {
    const std::string_view id = row[field].text();
    good = !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
      return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
    });
    return good ? OkStatus()
                : rows_->Reject(field, "is no id: 1 to 128 bytes without control characters");
  }

  Status AddProduct(const tabular::Row& row, Batch& batch) {
    enum : size_t {
      kId,
      kTitle,
      kDescription,
      kCategories,
      kPrice,
      kCurrency,
      kImage,
      kBrand,
      kAvailability
    };
    bool good = false;
    STARLING_RETURN_IF_ERROR(CheckId(row, kId, good));
    if (!good) return OkStatus();
    catalog::v1::Product product;
    product.set_product_id(std::string(row[kId].text()));
    product.set_title(Tidy(row[kTitle].text()));
    if (product.title().empty() || product.title().size() > 500)
      return rows_->Reject(kTitle, "is no title: 1 to 500 characters");
    product.set_description(std::string(TextOf(row[kDescription])));
    if (product.description().size() > 20'000)
      return rows_->Reject(kDescription, "is longer than 20,000 characters");
    std::string_view rest = TextOf(row[kCategories]);
    while (!rest.empty() && product.categories_size() < 16) {
      const size_t bar = rest.find('|');
      if (const std::string category = Tidy(rest.substr(0, bar)); !category.empty())
        product.add_categories(category);
      rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
    }
    if (!row[kPrice].is_null()) {
      const double price = row[kPrice].real();
      if (!(price >= 0) || price > 1e12) return rows_->Reject(kPrice, "is no price");
      const std::string currency =
          row[kCurrency].is_null() ? "EUR" : std::string(row[kCurrency].text());
      if (currency.size() != 3 || !std::all_of(currency.begin(), currency.end(),
                                               [](char c) { return c >= 'A' && c <= 'Z'; }))
        return rows_->Reject(kCurrency, "is no currency; write it as EUR");
      catalog::v1::Money& money = *product.mutable_price();
      const int64_t cents = std::llround(price * 100);
      money.set_currency_code(currency);
      money.set_units(cents / 100);
      money.set_nanos(static_cast<int32_t>(cents % 100) * 10'000'000);
    }
    product.set_image_url(std::string(TextOf(row[kImage])));
    product.set_brand(std::string(TextOf(row[kBrand])));
    const std::string availability = Tidy(TextOf(row[kAvailability]));
    catalog::v1::Availability parsed = catalog::v1::AVAILABILITY_IN_STOCK;
    if (availability == "out_of_stock") {
      parsed = catalog::v1::AVAILABILITY_OUT_OF_STOCK;
    } else if (availability == "discontinued") {
      parsed = catalog::v1::AVAILABILITY_DISCONTINUED;
    } else if (!availability.empty() && availability != "in_stock") {
      return rows_->Reject(kAvailability, "is none of in_stock, out_of_stock and discontinued");
    }
    product.set_availability(parsed);
    if (!ids_.insert(product.product_id()).second)
      return rows_->Reject(kId, "came a few rows before already");
    batch.products.push_back(std::move(product));
    return OkStatus();
  }

  Status AddUser(const tabular::Row& row, Batch& batch) {
    bool good = false;
    STARLING_RETURN_IF_ERROR(CheckId(row, 0, good));
    if (!good) return OkStatus();
    profile::v1::User user;
    user.set_user_id(std::string(row[0].text()));
    user.set_display_name(Tidy(TextOf(row[1])));
    for (size_t i = 2; i < mapping_.fields().size(); ++i) {
      if (!row[i].is_null())
        (*user.mutable_attributes())[mapping_.fields()[i].target] = tabular::CellText(row[i]);
    }
    batch.users.push_back(std::move(user));
    return OkStatus();
  }

  Status AddEvent(const tabular::Row& row, Batch& batch) {
    enum : size_t { kUser, kProduct, kType, kTime, kId, kQuantity, kPrice };
    for (const size_t field : {kUser, kProduct}) {
      bool good = false;
      STARLING_RETURN_IF_ERROR(CheckId(row, field, good));
      if (!good) return OkStatus();
    }
    ingestion::v1::UserEvent event;
    event.set_user_id(std::string(row[kUser].text()));
    event.set_product_id(std::string(row[kProduct].text()));
    event.set_type(std::string(row[kType].text()));
    if (std::find(kTypes.begin(), kTypes.end(), event.type()) == kTypes.end()) {
      return rows_->Reject(kType,
                           fmt::format("is no kind of event{}", DidYouMean(event.type(), kTypes)));
    }
    const int64_t time = row[kTime].time().time_since_epoch().count();
    if (row[kTime].time() > SystemClock().Now()) return rows_->Reject(kTime, "is in the future");
    if (time < 0) return rows_->Reject(kTime, "is before 1970");
    event.mutable_occurred_at()->set_seconds(time / 1'000'000'000);
    event.mutable_occurred_at()->set_nanos(static_cast<int32_t>(time % 1'000'000'000));
    for (const auto& [field, set] : {std::pair{kQuantity, &ingestion::v1::UserEvent::set_quantity},
                                     {kPrice, &ingestion::v1::UserEvent::set_price}}) {
      if (row[field].is_null()) continue;
      const double value = row[field].real();
      if (!std::isfinite(value) || value < 0) return rows_->Reject(field, "is below 0");
      (event.*set)(value);
    }
    if (!row[kId].is_null()) {
      bool good = false;
      STARLING_RETURN_IF_ERROR(CheckId(row, kId, good));
      if (!good) return OkStatus();
      event.set_event_id(std::string(row[kId].text()));
    } else {
      event.set_event_id(IdOf(event));
    }
    batch.events.push_back(std::move(event));
    return OkStatus();
  }

  // Of what the event says; the same said twice within a second is two events, told apart by count.
  std::string IdOf(const ingestion::v1::UserEvent& event) {
    const uint64_t hash = Hash64(event.SerializeAsString());
    if (event.occurred_at().seconds() != second_) {
      second_ = event.occurred_at().seconds();
      said_.clear();
    }
    return fmt::format("file/{:016x}/{}", hash, ++said_[hash]);
  }

  const std::string kind_, file_;
  const tabular::Mapping mapping_;
  tabular::RejectFile& rejects_;
  std::unique_ptr<RowReader> rows_;
  std::set<std::string> ids_;  // of products in this batch: one call takes no id twice
  int64_t second_ = -1;
  std::map<uint64_t, int> said_;
  Findings findings_;
};

}  // namespace

StatusOr<std::unique_ptr<Reader>> ReadPlainFiles(const std::string& kind, const std::string& file,
                                                 const std::string& mapping_file,
                                                 tabular::RejectFile& rejects) {
  STARLING_ASSIGN_OR_RETURN(tabular::Mapping mapping, MakeMapping(kind, mapping_file));
  return std::make_unique<PlainFiles>(kind, file, std::move(mapping), rejects);
}

}  // namespace starling::import
