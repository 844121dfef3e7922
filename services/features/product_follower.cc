#include "services/features/product_follower.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "platform/async/runtime.h"
#include "platform/telemetry/log.h"

namespace starling::features {
namespace {

constexpr char kName[] = "features";
constexpr char kTopic[] = "catalog";
constexpr char kPut[] = "starling.catalog.product.put.v1";
constexpr char kDeleted[] = "starling.catalog.product.deleted.v1";
// A product may have 20 kB; what is kept of it has some hundred bytes.
constexpr size_t kMaxBatch = 1'024;
static_assert(kMaxBatch <= ProductStore::kMaxChanges);
constexpr Duration kReadsFor = std::chrono::minutes(5);
// It is tried again after a pause that doubles, in steps after which Stop is heard.
constexpr Duration kFirstPause = std::chrono::milliseconds(20);
constexpr Duration kLongestPause = std::chrono::seconds(5);
constexpr Duration kStep = std::chrono::milliseconds(20);

StatusOr<std::vector<ProductStore::Change>> ChangesOf(
    std::span<const messaging::Delivered> delivered) {
  std::vector<ProductStore::Change> changes;
  changes.reserve(delivered.size());
  for (const messaging::Delivered& one : delivered) {
    const bool deleted = one.event.type == kDeleted;
    if (!deleted && one.event.type != kPut) continue;
    catalog::v1::ProductChanged changed;
    if (!changed.ParseFromString(one.event.data)) {
      return InvalidArgument("event '{}' is no ProductChanged; its producer must write one",
                             one.event.id);
    }
    const size_t size = changed.product().product_id().size();
    if (size == 0 || size > ProductStore::kMaxId) {
      return Annotate(InvalidField("product.product_id", "has {} bytes; 1 to {} are taken", size,
                                   ProductStore::kMaxId),
                      fmt::format("event '{}'", one.event.id));
    }
    changes.push_back({std::move(*changed.mutable_product()), deleted});
  }
  return changes;
}

// The last change of each product, and that only if it changes the table.
void KeepWhatChanges(const ProductTable& table, std::vector<ProductStore::Change>& changes) {
  absl::flat_hash_set<std::string_view> seen;
  std::vector<ProductStore::Change> kept;
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    const catalog::v1::Product& product = change->product;
    if (!seen.insert(product.product_id()).second) continue;
    const bool there = table.Has(ProductTable::KeyOf(product.product_id()));
    if (change->deleted ? there : !table.Says(product)) kept.push_back(*change);
  }
  changes = std::move(kept);
}

}  // namespace

// Takes every product of the catalogue, a batch at a time.
class ProductFollower::Export final : public rpc::Stream<catalog::v1::Product> {
 public:
  explicit Export(ProductFollower& follower) : follower_(follower) {}
  Task<Status> Write(const catalog::v1::Product& product) override {
    if (follower_.stopping_) co_return Cancelled("the process stops");
    batch_.push_back({product, false});
    if (batch_.size() < kMaxBatch) co_return OkStatus();
    Status status = co_await Finish();
    co_return status;
  }
  Task<Status> Finish() {
    Changes batch;
    batch.swap(batch_);
    Status status = co_await follower_.Apply(std::move(batch));
    co_return status;
  }

 private:
  ProductFollower& follower_;
  Changes batch_;
};

Task<Status> ProductFollower::Load(const std::atomic<bool>& stopping) {
  auto table = std::make_shared<ProductTable>();
  CO_RETURN_IF_ERROR(co_await store_->Load(*table, stopping));
  table_.store(std::move(table));
  co_return OkStatus();
}

void ProductFollower::Start(std::shared_ptr<catalog::v1::Catalog> catalog) {
  catalog_ = std::move(catalog);
  following_ = std::make_shared<std::promise<void>>();
  Spawn(environment_.runtime().NextExecutor(), Follow());
}

void ProductFollower::Stop() {
  stopping_ = true;
  cancel_.Cancel();
  if (following_ != nullptr) following_->get_future().wait();
  following_.reset();
  subscription_.reset();
}

Task<void> ProductFollower::Follow() {
  const auto ended = following_;  // once it is told, the follower may be gone
  bool told = false;
  for (Duration pause = kFirstPause; !stopping_; pause = std::min(2 * pause, kLongestPause)) {
    Status status = co_await ReadCatalogue();
    if (status.ok()) status = co_await Subscribe();
    if (status.ok() || stopping_) break;
    if (!std::exchange(told, true))
      log::Warning(kName, "the catalogue cannot be followed yet; it is tried again").With(status);
    for (Duration left = pause; left > Duration(0) && !stopping_; left -= kStep)
      co_await SleepFor(kStep);
  }
  ended->set_value();
}

Task<Status> ProductFollower::ReadCatalogue() {
  if (catalog_ == nullptr) co_return OkStatus();
  CO_ASSIGN_OR_RETURN(const bool complete, co_await store_->IsComplete());
  if (complete) co_return OkStatus();
  rpc::CallContext context = rpc::CallContext::ForService(kName, kReadsFor);
  context.cancellation = cancel_.token();
  const catalog::v1::ExportProductsRequest everything;
  Export exported(*this);
  CO_RETURN_IF_ERROR(co_await catalog_->ExportProducts(context, everything, exported));
  CO_RETURN_IF_ERROR(co_await exported.Finish());
  co_return co_await store_->MarkComplete();
}

Task<Status> ProductFollower::Subscribe() {
  co_return co_await pool().Run([this]() -> Status {
    STARLING_ASSIGN_OR_RETURN(const std::string group, environment_.OwnGroup(kName));
    STARLING_ASSIGN_OR_RETURN(
        subscription_,
        environment_.events().Subscribe(
            kTopic, group, {.max_batch = kMaxBatch},
            [this](std::span<const messaging::Delivered> events) { return Consume(events); }));
    return OkStatus();
  });
}

Task<Status> ProductFollower::Consume(std::span<const messaging::Delivered> events) {
  auto changes = co_await pool().Run([&] { return ChangesOf(events); });
  if (!changes.ok()) co_return changes.status();
  Status status = co_await Apply(*std::move(changes));
  co_return status;
}

Task<Status> ProductFollower::Apply(Changes changes) {
  const std::shared_ptr<const ProductTable> before = table_.load();
  CO_RETURN_IF_ERROR(co_await pool().Run([&]() -> Status {
    KeepWhatChanges(*before, changes);
    return OkStatus();
  }));
  if (changes.empty()) co_return OkStatus();
  // Durable first: what readers have seen, and what the group's place is beyond, survives a crash.
  CO_RETURN_IF_ERROR(co_await store_->Apply(changes));
  co_return co_await pool().Run([&]() -> Status {
    auto after = std::make_shared<ProductTable>(*before);
    for (const auto& [product, deleted] : changes) {
      if (deleted) {
        after->Remove(product.product_id());
      } else {
        after->Put(product);
      }
    }
    after->Finish();
    table_.store(std::move(after));
    return OkStatus();
  });
}

}  // namespace starling::features
