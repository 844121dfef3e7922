// What the second stage of a recommender is told of a candidate.
//
// The numbers are of one user at one time, without a trace of what came after it: the trees are
// fitted on what Recommender::Describe gave for past times (services/training), and asked with what
// it gives now.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "learning/ranking/item_facts.h"

namespace starling::learning {

enum RankFeature : size_t {
  // The first stage: main(i); to the tenth best of what is new to the user; its place.
  kMain,
  kMainToTenth,
  kMainPlace,
  // What of the history speaks for it: how many items, their shares of its largest weight added
  // up, the largest of these with its age.
  kSpeakers,
  kSpeakersShare,
  kLoudestShare,
  // What the user did with it before: purchases, days since the last and the first, both added up
  // with age, days between two, days since the last in those, its share of all purchases, and those
  // of the last weeks added up with age.
  kTimes,
  kLastDays,
  kFirstDays,
  kAgedTimes,
  kGap,
  kLastInGaps,
  kShareOfTimes,
  kTimesLately,
  // The user: items, days since anything, items and new items of the last 28 days, the history
  // added up with age, how popular what is bought is.
  kUserItems,
  kUserIdle,
  kUserItems28,
  kUserNew28,
  kUserAged,
  kUserPopularity,
  kPopularityToUser,
  // What the catalogue says, and the user's history does: the share of it, with its age, that is of
  // the candidate's widest, next and narrowest category and of its brand; how many items of its
  // narrowest category the user had; its price to the mean of what the user buys.
  kShareOfWidest,
  kShareOfNext,
  kShareOfNarrowest,
  kShareOfBrand,
  kItemsOfNarrowest,
  kPriceToUser,
  // The item, as ItemFact has it.
  kFirstItemFact,
  // With next_basket: v of the item, what those alike have of it, and its place by that among what
  // is new to the user. New features come last, since trees of before ask about the first of them.
  kFirstOfNextBasket = kFirstItemFact + kItemFacts,
  kFrequency = kFirstOfNextBasket,
  kAlike,
  kAlikePlace,
  // With content: how like the item is to what the user had, by its words, with age.
  kFirstOfContent,
  kContent = kFirstOfContent,
  kRankFeatures
};

inline constexpr std::array<std::string_view, kFirstItemFact> kRankFeatureNames = {
    "main",
    "main_to_tenth",
    "main_place",
    "speakers",
    "speakers_share",
    "loudest_share",
    "times",
    "last_days",
    "first_days",
    "aged_times",
    "gap",
    "last_in_gaps",
    "share_of_times",
    "lately",
    "user_items",
    "user_idle",
    "user_items_28",
    "user_new_28",
    "user_aged",
    "user_popularity",
    "popularity_to_user",
    "share_of_widest",
    "share_of_next",
    "share_of_narrowest",
    "share_of_brand",
    "items_of_narrowest",
    "price_to_user"};

}  // namespace starling::learning
