#include "services/features/popular_products.h"

namespace starling::features {
namespace {

constexpr Duration kEvery = std::chrono::seconds(1);

}  // namespace

Task<std::shared_ptr<const v1::ListPopularResponse>> PopularProducts::Get() {
  const auto made = made_.load();
  if (made->answer != nullptr && clock_.MonotonicNow() - made->at < kEvery) co_return made->answer;
  if (refreshing_.exchange(true)) co_return made->answer;
  const Status refreshed = co_await pool_.Run([this]() -> Status {
    Refresh();
    return OkStatus();
  });
  refreshing_ = false;
  // A pool without room is no reason to refuse an answer that is a little old.
  co_return refreshed.ok() ? made_.load()->answer : made->answer;
}

void PopularProducts::Refresh() {
  const Instant started = clock_.MonotonicNow();
  const int64_t now = clock_.Now().time_since_epoch() / std::chrono::seconds(1);
  const int64_t newest = table_.Count().newest;
  auto answer = std::make_shared<v1::ListPopularResponse>();
  for (InteractionTable::Popular& popular :
       table_.MostPopular(PopularityTime(now, newest, half_life_), kMost)) {
    v1::PopularProduct* product = answer->add_products();
    product->set_product_id(std::move(popular.product_id));
    product->set_score(popular.score);
  }
  made_.store(std::make_shared<const Made>(Made{started, std::move(answer)}));
}

}  // namespace starling::features
