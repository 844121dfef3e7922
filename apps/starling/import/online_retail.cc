#include "apps/starling/import/online_retail.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "apps/starling/import/row_reader.h"
#include "apps/starling/import/text.h"
#include "platform/base/clock.h"

namespace starling::import {
namespace {

constexpr size_t kBatch = 1'000;
enum Field : size_t {
  kInvoice,
  kStock,
  kDescription,
  kQuantity,
  kTime,
  kPrice,
  kCustomer,
  kCountry
};

StatusOr<tabular::Mapping> MakeMapping() {
  using tabular::FieldType;
  using tabular::Presence;
  return tabular::Mapping::Make({
      {.target = "invoice", .from = {"Invoice", "InvoiceNo"}, .presence = Presence::kRequired},
      {.target = "stock_code", .from = {"StockCode"}, .presence = Presence::kRequired},
      {.target = "description", .from = {"Description"}},
      {.target = "quantity",
       .from = {"Quantity"},
       .type = FieldType::kInteger,
       .presence = Presence::kRequired},
      {.target = "invoice_date",
       .from = {"InvoiceDate"},
       .type = FieldType::kTime,
       .presence = Presence::kRequired,
       .formats = {"auto", "%m/%d/%Y %H:%M"}},
      {.target = "price",
       .from = {"Price", "UnitPrice"},
       .type = FieldType::kNumber,
       .presence = Presence::kRequired},
      {.target = "customer_id", .from = {"Customer ID", "CustomerID"}, .type = FieldType::kInteger},
      {.target = "country", .from = {"Country"}},
  });
}

bool IsProduct(std::string_view stock) {
  return stock.size() >= 5 &&
         std::all_of(stock.begin(), stock.begin() + 5, [](char c) { return c >= '0' && c <= '9'; });
}

// 85123a and 85123A are one product.
std::string StockOf(const tabular::Row& row) {
  std::string stock = Tidy(TextOf(row[kStock]));
  for (char& c : stock) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return stock;
}

std::string CustomerOf(const tabular::Row& row) {
  return row[kCustomer].is_null() ? "" : std::to_string(row[kCustomer].integer());
}

bool IsCancellation(const tabular::Row& row) {
  const std::string_view invoice = TextOf(row[kInvoice]);
  return invoice.starts_with('C') || invoice.starts_with('c');
}

void SetPrice(double price, catalog::v1::Product& product) {
  const double rounded = std::round(price * 100) / 100;
  catalog::v1::Money& money = *product.mutable_price();
  money.set_currency_code("GBP");
  money.set_units(static_cast<int64_t>(rounded));
  money.set_nanos(static_cast<int32_t>(std::llround((rounded - std::floor(rounded)) * 100)) *
                  10'000'000);
}

class OnlineRetail final : public Reader {
 public:
  OnlineRetail(std::string file, tabular::Mapping mapping, tabular::RejectFile& rejects)
      : file_(std::move(file)), mapping_(std::move(mapping)), rejects_(rejects) {}

  std::vector<std::string> Stages() const override {
    return {"reading", "products", "users", "events"};
  }

  // No stage can go on in its middle: what a cancellation still undoes depends on all rows before.
  Status Begin(const std::string& stage, const std::string&, Telling telling) override {
    stage_ = stage;
    telling_ = telling;
    done_ = 0;
    if (stage == "reading") {
      products_.clear();
      customers_.clear();
      cancelled_.clear();
      findings_.clear();
      return Open(telling == Telling::kTell ? &rejects_ : nullptr);
    }
    if (stage == "events") return Open(nullptr);
    next_product_ = products_.begin();
    next_customer_ = customers_.begin();
    return OkStatus();
  }

  StatusOr<Batch> Next() override {
    if (stage_ == "reading") return Gather();
    if (stage_ == "products") return Products();
    if (stage_ == "users") return Users();
    return Events();
  }

  StageProgress progress() const override {
    if (rows_ != nullptr) {
      const tabular::Progress progress = rows_->progress();
      return {stage_, progress.rows_done, progress.Fraction()};
    }
    const size_t total = stage_ == "products" ? products_.size() : customers_.size();
    return {stage_, done_,
            total == 0 ? 1 : static_cast<double>(done_) / static_cast<double>(total)};
  }

  const Findings& findings() const override { return findings_; }

 private:
  struct Product {
    std::string title;
    bool titled = false;  // the title names a product
    double price = 0;
  };
  struct Cancellation {
    TimePoint time;
    int64_t left;
  };

  Status Open(tabular::RejectFile* rejects) {
    STARLING_ASSIGN_OR_RETURN(RowReader rows, RowReader::Open(file_, mapping_, "", rejects));
    rows_ = std::make_unique<RowReader>(std::move(rows));
    invoice_.clear();
    return OkStatus();
  }

  // The first pass, a thousand rows at a time: gives no records until it has read all.
  StatusOr<Batch> Gather() {
    for (size_t i = 0; i < kBatch; ++i) {
      STARLING_ASSIGN_OR_RETURN(const tabular::Row* row, rows_->Next());
      if (row == nullptr) {
        rows_.reset();
        if (telling_ == Telling::kToldBefore) findings_.clear();
        for (auto& [key, list] : cancelled_) {
          std::sort(list.begin(), list.end(),
                    [](const Cancellation& a, const Cancellation& b) { return a.time < b.time; });
        }
        return Batch{.last = true};
      }
      STARLING_RETURN_IF_ERROR(GatherRow(*row));
    }
    return Batch();
  }

  Status GatherRow(const tabular::Row& row) {
    const std::string stock = StockOf(row);
    const int64_t quantity = row[kQuantity].integer();
    const double price = row[kPrice].real();
    if (stock.size() > 100) return rows_->Reject(kStock, "is longer than 100 characters");
    if (TextOf(row[kInvoice]).size() > 20)
      return rows_->Reject(kInvoice, "is longer than 20 characters");
    if (!IsProduct(stock)) {
      ++findings_["lines of fees, postage and vouchers, which are no products"];
      return OkStatus();
    }
    if (quantity == 0) return rows_->Reject(kQuantity, "is 0: nothing was sold");
    if (price < 0 || price > 1e9) return rows_->Reject(kPrice, "is no price");
    if (row[kTime].time() > SystemClock().Now()) return rows_->Reject(kTime, "is in the future");
    Product& product = products_[stock];
    const std::string description = Tidy(TextOf(row[kDescription]));
    if (NamesAProduct(description)) {
      product.title = description;
      product.titled = true;
    } else if (!description.empty() && !product.titled) {
      product.title = description;
    }
    const std::string customer = CustomerOf(row);
    if (!customer.empty()) customers_[customer] = Tidy(TextOf(row[kCountry]));
    if (IsCancellation(row)) {
      if (quantity > 0) return rows_->Reject(kQuantity, "is above 0 on a cancellation");
      ++findings_["lines of cancellations"];
      cancelled_[customer + '/' + stock].push_back({row[kTime].time(), -quantity});
    } else if (quantity < 0) {
      ++findings_["corrections of the stock"];
    } else if (price > 0) {
      product.price = price;
    }
    return OkStatus();
  }

  StatusOr<Batch> Products() {
    Batch batch;
    for (; next_product_ != products_.end() && batch.products.size() < kBatch; ++next_product_) {
      catalog::v1::Product& product = batch.products.emplace_back();
      product.set_product_id(next_product_->first);
      product.set_title(next_product_->second.title.empty()
                            ? next_product_->first
                            : TitleCase(next_product_->second.title));
      product.add_categories("gifts");
      if (next_product_->second.price > 0) SetPrice(next_product_->second.price, product);
      product.set_availability(catalog::v1::AVAILABILITY_IN_STOCK);
    }
    done_ += static_cast<int64_t>(batch.size());
    batch.last = next_product_ == products_.end();
    return batch;
  }

  StatusOr<Batch> Users() {
    Batch batch;
    for (; next_customer_ != customers_.end() && batch.users.size() < kBatch; ++next_customer_) {
      profile::v1::User& user = batch.users.emplace_back();
      user.set_user_id(next_customer_->first);
      user.set_display_name("Customer " + next_customer_->first);
      if (!next_customer_->second.empty())
        (*user.mutable_attributes())["country"] = next_customer_->second;
    }
    done_ += static_cast<int64_t>(batch.size());
    batch.last = next_customer_ == customers_.end();
    return batch;
  }

  // Takes what cancellations after `time` undo off a purchase; what is left of it.
  int64_t Undo(const std::string& key, TimePoint time, int64_t quantity) {
    const auto at = cancelled_.find(key);
    if (at == cancelled_.end()) return quantity;
    for (Cancellation& cancellation : at->second) {
      if (cancellation.time < time) continue;
      const int64_t undone = std::min(quantity, cancellation.left);
      cancellation.left -= undone;
      quantity -= undone;
      if (quantity == 0) break;
    }
    return quantity;
  }

  StatusOr<Batch> Events() {
    Batch batch;
    while (batch.events.size() < kBatch) {
      STARLING_ASSIGN_OR_RETURN(const tabular::Row* row, rows_->Next());
      if (row == nullptr) {
        batch.last = true;
        break;
      }
      AddEvent(*row, batch);
    }
    return batch;
  }

  void AddEvent(const tabular::Row& row, Batch& batch) {
    const std::string stock = StockOf(row);
    const std::string invoice(TextOf(row[kInvoice]));
    const int64_t quantity = row[kQuantity].integer();
    const double price = row[kPrice].real();
    if (!IsProduct(stock) || IsCancellation(row) || quantity <= 0 || price < 0 || price > 1e9 ||
        stock.size() > 100 || invoice.size() > 20 || row[kTime].time() > SystemClock().Now())
      return;
    if (invoice != invoice_) {
      invoice_ = invoice;
      lines_.clear();
    }
    const int line = ++lines_[stock];
    const std::string customer = CustomerOf(row);
    const int64_t left = Undo(customer + '/' + stock, row[kTime].time(), quantity);
    if (left < quantity) ++findings_["purchases that a cancellation undid, whole or in part"];
    if (left == 0) return;
    ingestion::v1::UserEvent& event = batch.events.emplace_back();
    event.set_event_id(fmt::format("retail/{}/{}/{}", invoice, stock, line));
    event.set_user_id(customer);
    event.set_product_id(stock);
    event.set_type("purchase");
    event.mutable_occurred_at()->set_seconds(row[kTime].time().time_since_epoch() /
                                             std::chrono::seconds(1));
    event.set_quantity(static_cast<double>(left));
    event.set_price(price);
    if (customer.empty()) {
      (*event.mutable_properties())["basket"] = invoice;
      ++findings_["purchases by nobody known"];
    }
  }

  const std::string file_;
  const tabular::Mapping mapping_;
  tabular::RejectFile& rejects_;
  std::string stage_;
  Telling telling_ = Telling::kTell;
  std::unique_ptr<RowReader> rows_;
  std::map<std::string, Product> products_;
  std::map<std::string, std::string> customers_;                          // and their countries
  std::unordered_map<std::string, std::vector<Cancellation>> cancelled_;  // by customer/stock
  std::map<std::string, Product>::const_iterator next_product_;
  std::map<std::string, std::string>::const_iterator next_customer_;
  int64_t done_ = 0;
  std::string invoice_;
  std::unordered_map<std::string, int> lines_;  // of this invoice, by product
  Findings findings_;
};

}  // namespace

StatusOr<std::unique_ptr<Reader>> ReadOnlineRetail(const std::string& file,
                                                   tabular::RejectFile& rejects) {
  STARLING_ASSIGN_OR_RETURN(tabular::Mapping mapping, MakeMapping());
  return std::make_unique<OnlineRetail>(file, std::move(mapping), rejects);
}

}  // namespace starling::import
