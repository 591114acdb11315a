// The plan: parameter counts, tensors that never overlap while both live, the memory cap.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "src/plan/plan.h"

namespace lt {
namespace {

PlanRequest request(const char* name) {
  PlanRequest result;
  EXPECT_TRUE(ok(recipe_parse(built_in_recipe(name)->text, name, &result.recipe))) << last_error();
  result.device = "reference";
  return result;
}

std::shared_ptr<const Plan> plan_of(const PlanRequest& request) {
  std::shared_ptr<const Plan> plan;
  EXPECT_TRUE(ok(plan_make(request, &plan))) << last_error();
  return plan;
}

TEST(Plan, CountsTheParametersOfTheBenchmarks) {
  EXPECT_EQ(plan_of(request("mnist/cnn-same"))->parameter_count(), 3274624u);
  EXPECT_EQ(plan_of(request("mnist/cnn-valid"))->parameter_count(), 1111946u);
  EXPECT_EQ(plan_of(request("mnist/linear"))->parameter_count(), 7850u);
  EXPECT_EQ(plan_of(request("mnist/nn"))->parameter_count(), 101770u);
  EXPECT_EQ(plan_of(request("cifar10"))->parameter_count(), 3441592u);
}

void expect_no_overlap(const Plan& plan) {
  const auto& tensors = plan.program.tensors;
  for (size_t a = 0; a < tensors.size(); ++a) {
    if (tensors[a].part_of != no_tensor) {
      const Tensor& block = tensors[tensors[a].part_of];
      EXPECT_GE(tensors[a].offset, block.offset);
      EXPECT_LE(tensors[a].offset + tensors[a].bytes, block.offset + block.bytes) << tensors[a].name;
      continue;
    }
    EXPECT_EQ(tensors[a].offset % tensor_alignment, 0u);
    const SegmentPlace& segment = plan.segments[static_cast<size_t>(tensors[a].segment)];
    EXPECT_GE(tensors[a].offset, segment.offset) << tensors[a].name;
    EXPECT_LE(tensors[a].offset + tensors[a].bytes, segment.offset + segment.bytes) << tensors[a].name;
    for (size_t b = a + 1; b < tensors.size(); ++b) {
      if (tensors[b].part_of != no_tensor || tensors[a].bytes == 0 || tensors[b].bytes == 0) continue;
      const bool apart_in_time = tensors[a].segment == Segment::activations && tensors[b].segment == Segment::activations &&
                                 (tensors[a].last_op < tensors[b].first_op || tensors[b].last_op < tensors[a].first_op);
      const bool apart_in_space = tensors[a].offset + tensors[a].bytes <= tensors[b].offset ||
                                  tensors[b].offset + tensors[b].bytes <= tensors[a].offset;
      EXPECT_TRUE(apart_in_time || apart_in_space) << tensors[a].name << " and " << tensors[b].name;
    }
  }
}

TEST(Plan, TensorsThatLiveTogetherNeverOverlap) {
  for (size_t i = 0; i < built_in_recipe_count; ++i)
    for (const uint64_t guard_bytes : {0u, 256u}) {
      PlanRequest asked = request(built_in_recipes[i].name);
      asked.guard_bytes = guard_bytes;
      expect_no_overlap(*plan_of(asked));
    }
}

TEST(Plan, SegmentsTileTheRegion) {
  const auto plan = plan_of(request("mnist/cnn-valid"));
  uint64_t at = 0;
  for (const SegmentPlace& segment : plan->segments) {
    EXPECT_EQ(segment.offset, at);
    at += segment.bytes;
  }
  EXPECT_LE(at, plan->program.region_bytes);
  EXPECT_LT(plan->program.region_bytes - at, 4096u);
}

TEST(Plan, FullBatchNeedsNoMoreThanAMicroBatch) {
  EXPECT_EQ(plan_of(request("mnist/linear"))->program.micro_batch, micro_batch_default);
  PlanRequest asked = request("mnist/cnn-same");
  asked.recipe.batch = 60000;
  EXPECT_EQ(plan_of(asked)->program.micro_batch, 500u);
}

TEST(Plan, MemoryCapSplitsTheBatchOrSaysWhatIsNeeded) {
  PlanRequest asked = request("mnist/cnn-same");
  const uint64_t whole_bytes = plan_of(asked)->program.region_bytes;
  asked.memory_cap_bytes = whole_bytes;
  EXPECT_EQ(plan_of(asked)->program.micro_batch, 64u);
  asked.memory_cap_bytes = whole_bytes - 1;
  const auto split = plan_of(asked);
  EXPECT_LT(split->program.micro_batch, 64u);
  EXPECT_LE(split->program.region_bytes, asked.memory_cap_bytes);
  asked.memory_cap_bytes = 1 << 20;
  std::shared_ptr<const Plan> none;
  EXPECT_EQ(plan_make(asked, &none), Status::memory);
  const std::string sentence = last_error();
  EXPECT_NE(sentence.find(std::to_string(whole_bytes)), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("fits into the cap: none"), std::string::npos) << sentence;
  // The smallest cap that the sentence names is indeed enough, and one byte less is not.
  const size_t at = sentence.find("trains it is ") + 13;
  asked.memory_cap_bytes = std::stoull(sentence.substr(at));
  EXPECT_EQ(plan_of(asked)->program.micro_batch, 1u);
  --asked.memory_cap_bytes;
  EXPECT_EQ(plan_make(asked, &none), Status::memory);
}

TEST(Plan, DescribesItself) {
  const auto plan = plan_of(request("mnist/cnn-same"));
  const auto json = nlohmann::json::parse(plan_json(*plan));
  EXPECT_EQ(json["arena_bytes"], plan->program.region_bytes);
  EXPECT_EQ(json["ops"].size(), plan->program.ops.size());
  uint64_t segment_bytes = 0;
  for (const auto& segment : json["segments"]) segment_bytes += segment["bytes"].get<uint64_t>();
  EXPECT_LE(segment_bytes, plan->program.region_bytes);
  EXPECT_NE(plan_text(*plan).find("conv2d + bias + max_pool + relu"), std::string::npos);
}

TEST(Plan, UnknownDevicesAreNamed) {
  PlanRequest asked = request("mnist/linear");
  std::shared_ptr<const Plan> plan;
  for (const char* device : {"gpu", "", "cpu:x", "cpu:7"}) {
    asked.device = device;
    EXPECT_FALSE(ok(plan_make(asked, &plan))) << device;
    EXPECT_NE(std::string(last_error()).find("device"), std::string::npos) << last_error();
  }
}

}  // namespace
}  // namespace lt
