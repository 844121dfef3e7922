#include "services/features/interaction_export.h"

namespace starling::features {
namespace {

// Interactions that one visit to the blocking pool makes messages of, unless one user has more.
constexpr size_t kAtOnce = 8'192;
static_assert(static_cast<int>(Kind::kView) == v1::INTERACTION_TYPE_VIEW);
static_assert(static_cast<int>(Kind::kPurchase) == v1::INTERACTION_TYPE_PURCHASE);
static_assert(static_cast<int>(Kind::kCustom) == v1::INTERACTION_TYPE_CUSTOM);
static_assert(v1::InteractionType_ARRAYSIZE == kKinds);

void Fill(const InteractionTable::Snapshot& snapshot, const InteractionTable::Snapshot::User& user,
          v1::UserInteractions& message) {
  const auto size = static_cast<int>(user.history.size());
  message.set_user_id(*user.id);
  message.mutable_product_ids()->Reserve(size);
  message.mutable_types()->Reserve(size);
  message.mutable_occurred_at()->Reserve(size);
  message.mutable_quantities()->Reserve(size);
  message.mutable_prices()->Reserve(size);
  for (int i = 0; i < size; ++i) {
    const Interaction interaction = user.history.At(static_cast<uint32_t>(i));
    message.add_product_ids(snapshot.ProductId(interaction.other));
    message.add_types(static_cast<v1::InteractionType>(interaction.kind));
    message.add_occurred_at(interaction.time);
    message.add_quantities(interaction.quantity);
    message.add_prices(interaction.price);
  }
}

}  // namespace

Task<Status> ExportTo(const InteractionTable& table, BlockingPool& pool, CallContext& context,
                      rpc::Stream<v1::UserInteractions>& out) {
  std::optional<InteractionTable::Snapshot> snapshot;
  CO_RETURN_IF_ERROR(co_await pool.Run([&]() -> Status {
    snapshot = table.Copy();
    return OkStatus();
  }));
  // Cleared messages keep their memory for the next ones.
  std::vector<v1::UserInteractions> messages;
  size_t used = 0;
  const auto& users = snapshot->users();
  for (size_t next = 0; next < users.size();) {
    if (context.Cancelled()) co_return Cancelled("the caller has gone");
    CO_RETURN_IF_ERROR(co_await pool.Run([&]() -> Status {
      used = 0;
      for (size_t rows = 0; next < users.size() && rows < kAtOnce; ++next, ++used) {
        if (used == messages.size()) messages.emplace_back();
        messages[used].Clear();
        Fill(*snapshot, users[next], messages[used]);
        rows += users[next].history.size();
      }
      return OkStatus();
    }));
    for (size_t i = 0; i < used; ++i) CO_RETURN_IF_ERROR(co_await out.Write(messages[i]));
  }
  co_return OkStatus();
}

}  // namespace starling::features
