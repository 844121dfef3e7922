// Any bytes as a model, and any model with any bytes changed: never a crash, neither while it is
// opened nor while it serves.
#include <cstdlib>
#include <cstring>

#include "learning/baskets.h"
#include "learning/models/als.h"
#include "learning/models/autoencoder.h"
#include "learning/models/content.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/local_ease.h"
#include "learning/models/low_pass.h"
#include "learning/models/model.h"
#include "learning/models/next_basket.h"
#include "learning/models/popularity.h"
#include "learning/models/repeat.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/slim.h"
#include "learning/models/transitions.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {
namespace {

std::vector<std::string> Originals() {
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < 12; ++user) {
    events.push_back({.user = user, .item = user % 4});
    events.push_back({.user = user, .item = user % 3});
  }
  const Interactions data = MakeInteractions(events, 12, 4).value();
  const Baskets baskets = MakeBaskets(events, 12, 4).value();
  const IdTable ids = IdTable::Make({{"a", "b", "c", "d"}}).value();
  ItemTerms terms(4);
  for (size_t item = 0; item < 4; ++item) terms.AddText(item, item < 2 ? "red mug" : "red lamp");
  return {SerializeModel(FitPopularity(data, {}).value(), ids).value(),
          SerializeModel(FitRepeat(data, {}).value(), ids).value(),
          SerializeModel(FitEase(data, {}).value(), ids).value(),
          SerializeModel(FitAls(data, {.factors = 3, .iterations = 1}).value(), ids).value(),
          SerializeModel(FitItemKnn(data, {}).value(), ids).value(),
          SerializeModel(FitLocalEase(data, {}).value(), ids).value(),
          SerializeModel(FitSlim(data, {.l1 = 0}).value(), ids).value(),
          SerializeModel(FitLowPass(data, {.factors = 2}).value(), ids).value(),
          SerializeModel(FitAutoencoder(data, {.factors = 3, .steps = 2}).value(), ids).value(),
          SerializeModel(FitSampledMf(data, {.factors = 3, .steps = 2}).value(), ids).value(),
          SerializeModel(FitTransitions(baskets, {}).value(), ids).value(),
          SerializeModel(FitNextBasket(baskets, {}).value(), ids).value(),
          SerializeModel(FitContent(terms, std::vector<uint32_t>(4, 1), {.least = 0}).value(), ids)
              .value()};
}

void OpenAndServe(const std::string& bytes) {
  const auto loaded = OpenModel(std::as_bytes(std::span(bytes)), nullptr, Checksums::kTrustBytes);
  if (!loaded.ok()) return;
  const std::vector<HistoryItem> history = {
      {.item = 1, .time = 5}, {.item = 3}, {.item = 1u << 31}};
  std::vector<float> scores(loaded->model->items());
  loaded->model->Score(history, 10, scores);
  for (const ScoredItem& best : TopK(scores, {.k = 3})) {
    const std::vector<uint32_t> items = {best.item};
    loaded->model->Explain(history, 10, items);
    loaded->ids.Find(loaded->ids.Id(best.item));
  }
}

}  // namespace
}  // namespace starling::learning

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling::learning;
  OpenAndServe(std::string(reinterpret_cast<const char*>(data), size));
  // The same for a real model with some bytes changed: which, then (offset, value) after another.
  static const std::vector<std::string> originals = Originals();
  if (size == 0) return 0;
  std::string bytes = originals[data[0] % originals.size()];
  for (size_t i = 1; i + 3 <= size; i += 3) {
    const size_t offset = (data[i] | size_t{data[i + 1]} << 8) % bytes.size();
    bytes[offset] = static_cast<char>(data[i + 2]);
  }
  OpenAndServe(bytes);
  return 0;
}
