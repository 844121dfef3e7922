#include "learning/models/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "learning/models/als.h"
#include "learning/models/autoencoder.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/low_pass.h"
#include "learning/models/popularity.h"
#include "learning/models/repeat.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/slim.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kItems = 20;

template <typename Fitted>
std::unique_ptr<const Model> Own(StatusOr<Fitted> fitted) {
  return std::make_unique<const Fitted>(std::move(fitted).value());
}

std::vector<std::unique_ptr<const Model>> EveryKind() {
  const Interactions data = MakeInteractions(TestEvents(60, kItems, 7), 60, kItems).value();
  const Weighting weighting{.scale = Weighting::Scale::kLogarithmic, .half_life = 5 * kDay};
  std::vector<std::unique_ptr<const Model>> models;
  models.push_back(Own(FitPopularity(data, {.weighting = weighting})));
  models.push_back(Own(FitRepeat(data, {})));
  models.push_back(Own(FitItemKnn(data, {.weighting = weighting, .neighbours = 5})));
  models.push_back(Own(FitEase(data, {.weighting = weighting, .neighbours = 5})));
  models.push_back(Own(FitSlim(data, {.weighting = weighting, .l1 = 0.1, .l2 = 1})));
  models.push_back(Own(FitAls(data, {.weighting = weighting, .factors = 4, .iterations = 2})));
  models.push_back(Own(FitLowPass(data, {.weighting = weighting, .factors = 4})));
  models.push_back(Own(FitSampledMf(data, {.weighting = weighting, .factors = 4, .steps = 3})));
  models.push_back(Own(FitAutoencoder(data, {.weighting = weighting, .factors = 4, .steps = 3})));
  return models;
}

IdTable Names() {
  std::vector<std::string> names;
  for (uint32_t item = 0; item < kItems; ++item) {
    names.push_back(fmt::format("item-{}", item));
  }
  return IdTable::Make(names).value();
}

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(OpenModel, ServesWhatWasSerialisedForEveryKind) {
  const std::vector<HistoryItem> history = {{.item = 3, .weight = 2, .time = 1'500'000},
                                            {.item = 8, .weight = 1, .time = 1'900'000}};
  std::vector<uint32_t> items(kItems);
  std::iota(items.begin(), items.end(), 0);
  for (const std::unique_ptr<const Model>& model : EveryKind()) {
    auto bytes = std::make_shared<const std::string>(SerializeModel(*model, Names()).value());
    const LoadedModel loaded = OpenModel(Bytes(*bytes), bytes).value();
    bytes.reset();
    EXPECT_EQ(loaded.model->kind(), model->kind());
    EXPECT_EQ(loaded.ids.Find("item-7"), 7);
    EXPECT_EQ(ScoresOf(*loaded.model, history, 2'000'000), ScoresOf(*model, history, 2'000'000));
    EXPECT_EQ(loaded.model->Explain(history, 2'000'000, items),
              model->Explain(history, 2'000'000, items));
    EXPECT_EQ(SerializeModel(*loaded.model, loaded.ids).value(),
              SerializeModel(*model, Names()).value());
  }
}

TEST(OpenModel, RefusesEveryAlteredByteOfEveryKind) {
  for (const std::unique_ptr<const Model>& model : EveryKind()) {
    std::string bytes = SerializeModel(*model, Names()).value();
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
      ASSERT_FALSE(OpenModel(Bytes(bytes), nullptr).ok()) << model->kind() << " byte " << i;
      bytes[i] = static_cast<char>(bytes[i] ^ 0x10);
    }
  }
}

TEST(OpenModel, WantsOneNameForEachItem) {
  const std::vector<std::unique_ptr<const Model>> models = EveryKind();
  const Status status = SerializeModel(*models[0], IdTable::Make({{"a"}}).value()).status();
  EXPECT_EQ(FieldViolations(status)[0].field, "ids");
}

// Opens the sections that `add` writes, behind names for two items.
template <typename Add>
Status StatusOf(std::string_view kind, const Add& add) {
  const IdTable ids = IdTable::Make({{"a", "b"}}).value();
  ArtifactWriter writer(kind);
  add(writer);
  ids.AddTo(writer);
  const std::string bytes = std::move(writer).Finish();
  return OpenModel(Bytes(bytes), nullptr).status();
}

TEST(OpenModel, SaysWhatContradictsItself) {
  const std::vector<float> two = {1, 2};
  const std::vector<float> three = {1, 2, 3};
  const std::vector<double> weighting = {0, 0};
  const std::vector<double> unknown_scale = {7, 0};
  const std::vector<double> als = {0, 0, 0.01, 1, 1};
  const std::vector<double> singular = {0, 0, 0, 1, 1};
  const std::vector<uint64_t> offsets = {0, 1, 2};
  const std::vector<uint64_t> descending = {0, 2, 1};
  const std::vector<uint64_t> beyond = {0, 1, 3};
  const std::vector<uint32_t> targets = {1, 0};
  const std::vector<uint32_t> strange = {1, 2};
  const auto item_to_item =
      [&](const std::vector<double>& parameters, const std::vector<uint64_t>& rows,
          const std::vector<uint32_t>& columns, const std::vector<float>& weights) {
        return StatusOf("ease", [&](ArtifactWriter& writer) {
          writer.Add<double>("parameters", parameters);
          writer.Add<uint64_t>("offsets", rows);
          writer.Add<uint32_t>("targets", columns);
          writer.Add<float>("weights", weights);
        });
      };
  const auto factorised = [&](const std::vector<double>& parameters, const std::vector<float>& gram,
                              size_t rows, size_t columns) {
    return StatusOf("als", [&](ArtifactWriter& writer) {
      writer.Add<double>("parameters", parameters);
      writer.Add<float>("gram", gram);
      writer.Add<float>("factors", two, rows, columns);
    });
  };
  const auto low_pass = [&](const std::vector<float>& scales, const std::vector<float>& factors) {
    return StatusOf("low_pass", [&](ArtifactWriter& writer) {
      writer.Add<double>("parameters", weighting);
      writer.Add<float>("scales", scales);
      writer.Add<float>("factors", factors);
    });
  };
  EXPECT_TRUE(low_pass(two, two).ok());
  const auto autoencoder = [&](const std::vector<float>& encoder, const std::vector<float>& bias) {
    return StatusOf("autoencoder", [&](ArtifactWriter& writer) {
      writer.Add<double>("parameters", weighting);
      writer.Add<float>("encoder", encoder);
      writer.Add<float>("encoder_bias", bias);
      writer.Add<float>("decoder", two);
      writer.Add<float>("decoder_bias", two);
    });
  };
  EXPECT_TRUE(autoencoder(two, {1}).ok());
  const auto sampled_mf = [&](const std::vector<double>& parameters,
                              const std::vector<float>& history, size_t columns) {
    return StatusOf("sampled_mf", [&](ArtifactWriter& writer) {
      writer.Add<double>("parameters", parameters);
      writer.Add<float>("factors", two, 2, columns);
      writer.Add<float>("history_factors", history);
    });
  };
  EXPECT_TRUE(sampled_mf({0, 0, 1}, two, 1).ok());
  const std::vector<float> negative = {-1};
  const std::vector<float> one = {1};
  EXPECT_TRUE(item_to_item(weighting, offsets, targets, two).ok());
  EXPECT_TRUE(factorised(als, one, 2, 1).ok());
  struct Row {
    Status status;
    std::string message;
  };
  for (const Row& row : std::vector<Row>{
           {StatusOf("oracle", [](ArtifactWriter&) {}), "unknown kind 'oracle'"},
           {StatusOf("popularity", [](ArtifactWriter&) {}), "no section 'scores'"},
           {StatusOf("popularity",
                     [&](ArtifactWriter& writer) { writer.Add<float>("scores", three); }),
            "3 items and 2 names"},
           {item_to_item(unknown_scale, offsets, targets, two), "unknown weight scale 7"},
           {item_to_item(als, offsets, targets, two), "has 5 values and not 2"},
           {item_to_item(weighting, descending, targets, two), "'offsets' does not divide"},
           {item_to_item(weighting, beyond, targets, two), "'offsets' does not divide"},
           {item_to_item(weighting, {}, targets, two), "'offsets' does not divide"},
           {item_to_item(weighting, offsets, strange, two), "'targets' has an item beyond"},
           {item_to_item(weighting, offsets, targets, three), "has 3 values and not 2"},
           {factorised(singular, one, 2, 1), "positive definite"},
           {factorised(als, negative, 2, 1), "positive definite"},
           {factorised(als, two, 2, 1), "has 2 values and not 1"},
           {low_pass(two, three), "no rows of 2 items"},
           {low_pass({1, 0}, two), "no finite number above 0"},
           {low_pass({}, two), "no rows of 0 items"},
           {sampled_mf({0, 0, 1}, three, 1), "has 3 values and not 2"},
           {sampled_mf({0, 0}, two, 1), "has 2 values and not 3"},
           {autoencoder(three, {1}), "have 3 and 2 values, not 2 items of 1"},
           {autoencoder(two, {}), "not 2 items of 0"}}) {
    EXPECT_FALSE(row.status.ok()) << row.message;
    EXPECT_THAT(std::string(row.status.message()), HasSubstr(row.message));
  }
}

}  // namespace
}  // namespace starling::learning
