#include "services/inference/vector_index.h"

#include <chrono>

namespace starling::inference {
namespace {

double Seconds() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

class VectorIndex final : public vector::Index {
 public:
  explicit VectorIndex(learning::RetrievalIndex index) : index_(std::move(index)) {}

  std::vector<uint32_t> Nearest(std::span<const float> query, size_t k,
                                std::span<const uint32_t> excluded) const override {
    thread_local learning::RetrievalScratch scratch;
    std::vector<uint32_t> rows;
    for (const learning::ScoredItem& found :
         index_.Retrieve(query, {.k = k, .excluded = excluded}, scratch))
      rows.push_back(found.item);
    return rows;
  }

 private:
  const learning::RetrievalIndex index_;
};

}  // namespace

vector::MakeIndex MakeVectorIndex(std::optional<learning::RetrievalMethod> method,
                                  size_t graph_from) {
  return [=](std::span<const float> rows,
             size_t dimension) -> StatusOr<std::unique_ptr<vector::Index>> {
    STARLING_ASSIGN_OR_RETURN(
        learning::RetrievalIndex index,
        learning::RetrievalIndex::Make({rows, dimension}, Seconds,
                                       {.graph_from = graph_from, .method = method}));
    return std::make_unique<VectorIndex>(std::move(index));
  };
}

}  // namespace starling::inference
