#include "services/features/feature_reader.h"

#include "platform/base/nearest.h"
#include "services/features/affinity_reader.h"

namespace starling::features {
namespace {

constexpr int kMaxFeatures = 64;
constexpr int kMaxEntities = 1'000;
// Products whose users may be looked up there.
constexpr size_t kFewProducts = 16;
constexpr int64_t kLastSecond = 253'402'300'799;  // of the year 9999

std::string UnknownFeature(std::string_view name) {
  std::vector<std::string> names;
  for (const FeatureDefinition& feature : FeatureDefinitions()) names.push_back(feature.name);
  return fmt::format("'{}' is no feature{}; GET /v1/features lists them", name,
                     DidYouMean(name, names));
}

void AddRow(const std::string& id, const Summary& summary, FeatureDefinition::Entity entity,
            const FeatureQuery& query, v1::ReadFeaturesResponse& response) {
  v1::FeatureRow& row = *response.add_rows();
  row.set_entity_id(id);
  row.mutable_values()->Reserve(static_cast<int>(query.features.size()));
  for (const FeatureDefinition* feature : query.features) {
    row.add_values(feature->entity == entity ? feature->value(summary)
                                             : std::numeric_limits<double>::quiet_NaN());
  }
}

void ReadUsers(const v1::ReadFeaturesRequest& request, const std::vector<History>& histories,
               const InteractionTable& table, const ProductTable& products,
               const FeatureQuery& query, v1::ReadFeaturesResponse& response) {
  for (int i = 0; i < request.user_ids_size(); ++i) {
    Summary summary(query.at, query.distinct_of_users);
    if (query.of_users) {
      const InteractionTable::Keyed user =
          query.of_catalogue ? table.FindKeyed(request.user_ids(i))
                             : InteractionTable::Keyed{histories[static_cast<size_t>(i)], {}};
      for (uint32_t row = 0; row < user.history.size(); ++row) summary.Add(user.history.At(row));
      if (query.of_catalogue) summary.SetAffinity(AffinityOf(user, query.at, products));
    }
    summary.Finish();
    AddRow(request.user_ids(i), summary, FeatureDefinition::kUser, query, response);
  }
}

void ReadProducts(const v1::ReadFeaturesRequest& request, const InteractionTable::Owners& owners,
                  const ProductTable& products, const FeatureQuery& query,
                  v1::ReadFeaturesResponse& response) {
  // Which summary a product's interactions go to; a product that is asked for twice has one.
  constexpr int32_t kNone = -1;
  std::vector<Summary> summaries;
  std::vector<int32_t> summary_of;
  uint32_t greatest = 0;
  for (const auto& product : owners.products) greatest = std::max(greatest, product.value_or(0));
  summary_of.resize(greatest + 1, kNone);
  const Summary nothing(query.at, query.distinct_of_products);
  for (const auto& product : owners.products) {
    if (!product || summary_of[*product] != kNone) continue;
    summary_of[*product] = static_cast<int32_t>(summaries.size());
    summaries.push_back(nothing);
  }
  for (const auto& [user, history] : owners.users) {
    const std::span<const uint32_t> its = history.products();
    for (uint32_t i = 0; i < its.size(); ++i) {
      if (its[i] > greatest || summary_of[its[i]] == kNone) continue;
      Interaction interaction = history.At(i);
      interaction.other = user;
      summaries[static_cast<size_t>(summary_of[its[i]])].Add(interaction);
    }
  }
  for (Summary& summary : summaries) summary.Finish();
  for (int i = 0; i < request.product_ids_size(); ++i) {
    const auto& product = owners.products[static_cast<size_t>(i)];
    Summary summary = product ? summaries[static_cast<size_t>(summary_of[*product])] : nothing;
    if (query.of_catalogue)
      summary.SetProduct(products.Find(ProductTable::KeyOf(request.product_ids(i))));
    AddRow(request.product_ids(i), summary, FeatureDefinition::kProduct, query, response);
  }
}

}  // namespace

void CheckIds(const char* field, const google::protobuf::RepeatedPtrField<std::string>& ids,
              std::vector<FieldViolation>& wrong) {
  for (int i = 0; i < ids.size(); ++i) {
    if (ids.Get(i).empty()) wrong.push_back({fmt::format("{}[{}]", field, i), "is empty"});
  }
}

int64_t CheckedTime(bool has_at, int64_t at, TimePoint now, std::vector<FieldViolation>& wrong) {
  if (!has_at) at = now.time_since_epoch() / std::chrono::seconds(1);
  if (at < 0 || at > kLastSecond) {
    wrong.push_back(
        {"at", fmt::format("{} s since 1970 is not within the years 1970 to 9999", at)});
  }
  return at;
}

StatusOr<FeatureQuery> FeatureQuery::From(const v1::ReadFeaturesRequest& request, TimePoint now) {
  std::vector<FieldViolation> wrong;
  FeatureQuery query;
  if (request.features_size() == 0)
    wrong.push_back({"features", "names no feature; GET /v1/features lists them"});
  if (request.features_size() > kMaxFeatures) {
    wrong.push_back({"features", fmt::format("has {} names; at most {} are taken, ask twice",
                                             request.features_size(), kMaxFeatures)});
  }
  for (int i = 0; i < std::min(request.features_size(), kMaxFeatures); ++i) {
    const FeatureDefinition* feature = FindFeature(request.features(i));
    if (feature == nullptr) {
      wrong.push_back({fmt::format("features[{}]", i), UnknownFeature(request.features(i))});
      continue;
    }
    query.features.push_back(feature);
    const bool user = feature->entity == FeatureDefinition::kUser;
    (user ? query.of_users : query.of_products) = true;
    if (feature->catalogue == Catalogue::kNeeded) query.of_catalogue = true;
    if (feature->distinct == Distinct::kNeeded)
      (user ? query.distinct_of_users : query.distinct_of_products) = Distinct::kNeeded;
  }
  const int entities = request.user_ids_size() + request.product_ids_size();
  if (entities > kMaxEntities) {
    wrong.push_back(
        {request.user_ids_size() >= request.product_ids_size() ? "user_ids" : "product_ids",
         fmt::format("{} users and {} products are asked for; at most {} together are "
                     "taken, ask in parts",
                     request.user_ids_size(), request.product_ids_size(), kMaxEntities)});
  }
  CheckIds("user_ids", request.user_ids(), wrong);
  CheckIds("product_ids", request.product_ids(), wrong);
  query.at = CheckedTime(request.has_at(), request.at().seconds(), now, wrong);
  if (!wrong.empty()) return InvalidFields(wrong);
  return query;
}

Task<StatusOr<v1::ReadFeaturesResponse>> ReadFeaturesFrom(const InteractionTable& table,
                                                          const ProductTable& products,
                                                          BlockingPool& pool, CallContext& context,
                                                          const v1::ReadFeaturesRequest& request,
                                                          const FeatureQuery& query) {
  v1::ReadFeaturesResponse response;
  response.mutable_rows()->Reserve(request.user_ids_size() + request.product_ids_size());

  std::vector<History> histories;
  histories.reserve(static_cast<size_t>(request.user_ids_size()));
  size_t rows = 0;
  for (const std::string& id : request.user_ids()) {
    histories.push_back(query.of_users ? table.Find(id) : History());
    rows += histories.back().size() * (query.of_catalogue ? kRowsAnAffinityCosts : 1);
  }
  const auto read_users = [&]() -> Status {
    ReadUsers(request, histories, table, products, query, response);
    return OkStatus();
  };
  if (rows <= kFewRows) {
    CO_RETURN_IF_ERROR(read_users());
  } else {
    CO_RETURN_IF_ERROR(co_await pool.Run(read_users));
  }
  if (context.Cancelled()) co_return Cancelled("the caller has gone");

  std::vector<const std::string*> ids;
  if (query.of_products) {
    for (const std::string& id : request.product_ids()) ids.push_back(&id);
  }
  InteractionTable::Owners owners;
  const auto find_owners = [&]() -> Status {
    owners = table.FindOwners(ids);
    owners.products.resize(static_cast<size_t>(request.product_ids_size()));
    return OkStatus();
  };
  const auto read_products = [&]() -> Status {
    ReadProducts(request, owners, products, query, response);
    return OkStatus();
  };
  if (ids.size() <= kFewProducts) {
    CO_RETURN_IF_ERROR(find_owners());
    if (owners.rows <= kFewRows) {
      CO_RETURN_IF_ERROR(read_products());
      co_return response;
    }
  } else {
    CO_RETURN_IF_ERROR(co_await pool.Run(find_owners));
  }
  CO_RETURN_IF_ERROR(co_await pool.Run(read_products));
  co_return response;
}

}  // namespace starling::features
