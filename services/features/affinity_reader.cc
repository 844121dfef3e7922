#include "services/features/affinity_reader.h"

#include <algorithm>

#include "services/features/feature_reader.h"

namespace starling::features {
namespace {

constexpr int kDefaultLimit = 10;
constexpr int kMaxLimit = 50;
constexpr int kMaxUsers = 1'000;
constexpr int kMaxTogether = 10'000;  // users times the limit

// The greatest `limit` of each level, the widest level first, ties by name.
std::vector<Affinity::Share> Greatest(const std::vector<Affinity::Share>& shares,
                                      const GroupTree& groups, size_t limit) {
  std::vector<std::vector<Affinity::Share>> by_level;
  for (const Affinity::Share& one : shares) {
    const uint32_t level = groups.Level(one.group);
    if (by_level.size() < level) by_level.resize(level);
    by_level[level - 1].push_back(one);
  }
  std::vector<Affinity::Share> greatest;
  for (auto& level : by_level) {
    const size_t some = std::min(limit, level.size());
    std::partial_sort(level.begin(), level.begin() + static_cast<ptrdiff_t>(some), level.end(),
                      [&](const Affinity::Share& a, const Affinity::Share& b) {
                        if (a.share != b.share) return a.share > b.share;
                        return groups.Path(a.group) < groups.Path(b.group);
                      });
    greatest.insert(greatest.end(), level.begin(), level.begin() + static_cast<ptrdiff_t>(some));
  }
  return greatest;
}

void Fill(const Affinity& affinity, const ProductTable& products, size_t limit,
          v1::UserAffinity& user) {
  const GroupTree& categories = products.categories();
  for (const auto& [group, share] : Greatest(affinity.categories, categories, limit)) {
    v1::CategoryShare& category = *user.add_categories();
    for (const std::string_view name : categories.Path(group)) category.add_path(std::string(name));
    category.set_share(share);
  }
  for (const auto& [group, share] : Greatest(affinity.brands, products.brands(), limit)) {
    v1::BrandShare& brand = *user.add_brands();
    brand.set_brand(products.brands().Name(group));
    brand.set_share(share);
  }
  user.set_price_level(affinity.price_level);
  user.set_weight(affinity.weight);
}

struct AffinityQuery {
  static StatusOr<AffinityQuery> From(const v1::ReadAffinitiesRequest& request, TimePoint now) {
    std::vector<FieldViolation> wrong;
    AffinityQuery query;
    const int users = request.user_ids_size();
    const int limit = request.limit() == 0 ? kDefaultLimit : request.limit();
    if (limit < 0 || limit > kMaxLimit)
      wrong.push_back({"limit", fmt::format("{} is outside 0 to {}", limit, kMaxLimit)});
    if (users > kMaxUsers) {
      wrong.push_back({"user_ids", fmt::format("has {} users; at most {} are taken, ask in parts",
                                               users, kMaxUsers)});
    } else if (wrong.empty() && users * limit > kMaxTogether) {
      wrong.push_back(
          {"limit", fmt::format("{} for each of {} users is too much; users times limit may be {}, "
                                "ask in parts",
                                limit, users, kMaxTogether)});
    }
    CheckIds("user_ids", request.user_ids(), wrong);
    query.limit = static_cast<size_t>(std::max(limit, 0));
    query.at = CheckedTime(request.has_at(), request.at().seconds(), now, wrong);
    if (!wrong.empty()) return InvalidFields(wrong);
    return query;
  }

  size_t limit = 0;
  int64_t at = 0;
};

}  // namespace

Affinity AffinityOf(const InteractionTable::Keyed& user, int64_t at, const ProductTable& products) {
  AffinitySum sum(products, at);
  for (uint32_t row = 0; row < user.history.size(); ++row) {
    const Interaction interaction = user.history.At(row);
    if (sum.Counts(interaction)) sum.Add(interaction, products.Find(user.product_keys[row]));
  }
  return sum.Finish();
}

Task<StatusOr<v1::ReadAffinitiesResponse>> ReadAffinitiesFrom(
    const InteractionTable& table, const ProductTable& products, BlockingPool& pool,
    CallContext& context, const v1::ReadAffinitiesRequest& request, TimePoint now) {
  CO_ASSIGN_OR_RETURN(const AffinityQuery query, AffinityQuery::From(request, now));
  size_t rows = 0;
  for (const std::string& id : request.user_ids()) rows += table.Find(id).size();

  v1::ReadAffinitiesResponse response;
  const auto read = [&]() -> Status {
    response.mutable_users()->Reserve(request.user_ids_size());
    for (const std::string& id : request.user_ids()) {
      if (context.Cancelled()) return Cancelled("the caller has gone");
      v1::UserAffinity& user = *response.add_users();
      user.set_user_id(id);
      Fill(AffinityOf(table.FindKeyed(id), query.at, products), products, query.limit, user);
    }
    return OkStatus();
  };
  if (rows * kRowsAnAffinityCosts <= kFewRows) {
    CO_RETURN_IF_ERROR(read());
  } else {
    CO_RETURN_IF_ERROR(co_await pool.Run(read));
  }
  co_return response;
}

}  // namespace starling::features
