#include "services/catalog/product_rules.h"

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "platform/base/nearest.h"

namespace starling::catalog {
namespace {

constexpr size_t kMaxId = 128;
constexpr size_t kMaxTitle = 500;
constexpr size_t kMaxDescription = 20'000;
constexpr size_t kMaxShort = 200;
constexpr size_t kMaxUrl = 2'000;
constexpr int kMaxCategories = 16;
constexpr size_t kMaxAttributes = 64;
constexpr int kMaxNanos = 999'999'999;
constexpr ProductFields kAllFields = ~ProductFields{0};

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Code points of UTF-8 text.
size_t Characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool SetByCatalogue(std::string_view field) {
  return field == "product_id" || field == "create_time" || field == "update_time" ||
         field == "etag";
}

class Violations {
 public:
  explicit Violations(std::string_view prefix) : prefix_(prefix) {}
  template <typename... Args>
  void Add(std::string_view field, fmt::format_string<Args...> format, Args&&... args) {
    all.push_back({prefix_ + std::string(field), fmt::format(format, std::forward<Args>(args)...)});
  }
  void CheckLength(std::string_view field, std::string_view text, size_t limit) {
    if (text.size() > limit && Characters(text) > limit) {
      Add(field, "has {} characters; at most {} are taken", Characters(text), limit);
    }
  }
  std::vector<FieldViolation> all;

 private:
  const std::string prefix_;
};

void CheckPrice(const v1::Money& price, Violations& violations) {
  const std::string& currency = price.currency_code();
  if (currency.size() != 3 ||
      !std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    violations.Add("price.currency_code", "'{}' is no ISO 4217 code such as EUR", currency);
  }
  if (price.units() < 0 || price.nanos() < 0) {
    violations.Add(price.units() < 0 ? "price.units" : "price.nanos", "is below 0");
  }
  if (price.nanos() > kMaxNanos)
    violations.Add("price.nanos", "{} is above {}", price.nanos(), kMaxNanos);
}

}  // namespace

Status CheckProductId(std::string_view product_id, std::string_view field) {
  if (product_id.empty()) return InvalidField(field, "is missing");
  if (product_id.size() > kMaxId) {
    return InvalidField(field, "has {} bytes; at most {} are taken", product_id.size(), kMaxId);
  }
  if (HasControl(product_id)) return InvalidField(field, "has a control character");
  return OkStatus();
}

std::vector<FieldViolation> ProductViolations(const v1::Product& product, std::string_view prefix) {
  Violations violations(prefix);
  if (const Status id = CheckProductId(product.product_id(), "product_id"); !id.ok()) {
    violations.Add("product_id", "{}", FieldViolations(id).front().description);
  }
  if (product.title().empty()) violations.Add("title", "is missing");
  violations.CheckLength("title", product.title(), kMaxTitle);
  violations.CheckLength("description", product.description(), kMaxDescription);
  violations.CheckLength("brand", product.brand(), kMaxShort);
  violations.CheckLength("image_url", product.image_url(), kMaxUrl);
  if (product.categories_size() > kMaxCategories) {
    violations.Add("categories", "has {} entries; at most {} are taken", product.categories_size(),
                   kMaxCategories);
  }
  for (int i = 0; i < product.categories_size(); ++i) {
    const std::string field = fmt::format("categories[{}]", i);
    if (product.categories(i).empty()) violations.Add(field, "is empty");
    violations.CheckLength(field, product.categories(i), kMaxShort);
  }
  if (product.has_price()) CheckPrice(product.price(), violations);
  if (!v1::Availability_IsValid(product.availability())) {
    violations.Add("availability", "{} is no Availability",
                   static_cast<int>(product.availability()));
  }
  if (product.attributes().size() > kMaxAttributes) {
    violations.Add("attributes", "has {} entries; at most {} are taken",
                   product.attributes().size(), kMaxAttributes);
  }
  for (const auto& [name, value] : product.attributes()) {
    if (name.empty()) violations.Add("attributes", "has an entry without a name");
    violations.CheckLength(fmt::format("attributes.{}", name), value, kMaxUrl);
  }
  return std::move(violations.all);
}

Status CheckProduct(const v1::Product& product, std::string_view prefix) {
  std::vector<FieldViolation> violations = ProductViolations(product, prefix);
  return violations.empty() ? OkStatus() : InvalidFields(std::move(violations));
}

Status ApplyMask(const v1::Product& from, const google::protobuf::FieldMask& mask,
                 v1::Product& to) {
  const google::protobuf::Descriptor& type = *v1::Product::descriptor();
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    if (!SetByCatalogue(type.field(i)->name())) names.push_back(type.field(i)->name());
  }
  std::vector<std::string> paths(mask.paths().begin(), mask.paths().end());
  // What only the catalogue sets may stand in the body (a product that was read, changed and sent
  // back).
  std::erase_if(paths, [](const std::string& path) { return SetByCatalogue(path); });
  if (std::find(paths.begin(), paths.end(), "*") != paths.end()) paths = names;
  v1::Product selected = from;
  const google::protobuf::Reflection& reflection = *selected.GetReflection();
  for (const std::string& path : paths) {
    if (std::find(names.begin(), names.end(), path) == names.end()) {
      return InvalidField("update_mask", "'{}' is no field of a product that can be changed{}",
                          path, DidYouMean(path, names));
    }
    const google::protobuf::FieldDescriptor* field = type.FindFieldByName(path);
    reflection.ClearField(&to, field);
    reflection.SwapFields(&selected, &to, {field});
  }
  return OkStatus();
}

StatusOr<ProductFields> ParseReadMask(const google::protobuf::FieldMask& mask) {
  static const auto* const kFields = [] {
    auto* fields = new std::vector<std::pair<std::string, ProductFields>>;
    const google::protobuf::Descriptor& type = *v1::Product::descriptor();
    for (int i = 0; i < type.field_count(); ++i)
      fields->emplace_back(type.field(i)->name(), 1U << type.field(i)->number());
    return fields;
  }();
  ProductFields wanted = 0;
  for (const std::string& path : mask.paths()) {
    if (path == "*") return kAllFields;
    const auto at = std::find_if(kFields->begin(), kFields->end(),
                                 [&](const auto& field) { return field.first == path; });
    if (at == kFields->end()) {
      std::vector<std::string> names;
      for (const auto& field : *kFields) names.push_back(field.first);
      return InvalidField("read_mask", "'{}' is no field of a product{}", path,
                          DidYouMean(path, names));
    }
    wanted |= at->second;
  }
  return wanted == 0 ? kAllFields : wanted;
}

void CopyFields(const v1::Product& from, ProductFields fields, v1::Product& to) {
  if (fields == kAllFields) {
    to = from;
    return;
  }
  using P = v1::Product;
  const auto wants = [&](int number) { return (fields & 1U << number) != 0; };
  const auto text = [&](int number, const std::string& (P::*get)() const,
                        std::string* (P::*mutable_field)()) {
    if (wants(number) && !(from.*get)().empty()) *(to.*mutable_field)() = (from.*get)();
  };
  to.set_product_id(from.product_id());
  text(P::kTitleFieldNumber, &P::title, &P::mutable_title);
  text(P::kDescriptionFieldNumber, &P::description, &P::mutable_description);
  text(P::kImageUrlFieldNumber, &P::image_url, &P::mutable_image_url);
  text(P::kBrandFieldNumber, &P::brand, &P::mutable_brand);
  text(P::kEtagFieldNumber, &P::etag, &P::mutable_etag);
  if (wants(P::kCategoriesFieldNumber)) *to.mutable_categories() = from.categories();
  if (wants(P::kAvailabilityFieldNumber)) to.set_availability(from.availability());
  if (wants(P::kPriceFieldNumber) && from.has_price()) *to.mutable_price() = from.price();
  if (wants(P::kAttributesFieldNumber)) *to.mutable_attributes() = from.attributes();
  if (wants(P::kCreateTimeFieldNumber) && from.has_create_time())
    *to.mutable_create_time() = from.create_time();
  if (wants(P::kUpdateTimeFieldNumber) && from.has_update_time())
    *to.mutable_update_time() = from.update_time();
}

bool SameContent(const v1::Product& a, const v1::Product& b) {
  google::protobuf::util::MessageDifferencer differencer;
  for (const char* field : {"create_time", "update_time", "etag"}) {
    differencer.IgnoreField(v1::Product::descriptor()->FindFieldByName(field));
  }
  return differencer.Compare(a, b);
}

}  // namespace starling::catalog
