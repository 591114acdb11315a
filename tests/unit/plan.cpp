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
  EXPECT_EQ(plan_of(request("resnet50"))->parameter_count(), 23508032u);
  EXPECT_EQ(plan_of(request("rnn/gru-1x320"))->parameter_count(), 435200u);
  EXPECT_EQ(plan_of(request("rnn/lstm-1x320"))->parameter_count(), 577600u);
  EXPECT_EQ(plan_of(request("rnn/bilstm-4x320"))->parameter_count(), 8543360u);
  EXPECT_EQ(plan_of(request("rnn/bilstm-4x320-ctc"))->parameter_count(), 8565120u);
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

// What lives at a time: a block's input, its downsample or nothing, and the convolutions' way between; no gradients, and
// sums in the place of their summands.
TEST(Plan, OfInferenceKeepsFewActivations) {
  PlanRequest asked = request("resnet50");
  asked.recipe.batch = 2;
  const auto plan = plan_of(asked);
  const Program& program = plan->program;
  EXPECT_TRUE(program.inference);
  EXPECT_EQ(program.forward_end, program.ops.size());
  EXPECT_EQ(program.step_end, program.ops.size());
  EXPECT_EQ(program.ops.size(), 1u + 53 + 1);
  size_t sums = 0;
  for (const Op& op : program.ops) {
    if (op.residual == no_tensor) continue;
    ++sums;
    EXPECT_EQ(op.residual, op.y) << op.layer;
  }
  EXPECT_EQ(sums, 16u);
  EXPECT_EQ(plan->segments[static_cast<size_t>(Segment::state)].bytes, 0u);
  for (uint32_t at = 0; at < program.ops.size(); ++at) {
    size_t live = 0;
    for (const Tensor& tensor : program.tensors)
      live += tensor.segment == Segment::activations && tensor.part_of == no_tensor && tensor.first_op <= at &&
              at <= tensor.last_op;
    EXPECT_LE(live, 3u) << program.ops[at].layer;
  }
  // The largest two: 56 x 56 pixels of 256 channels, and of 64 or 128 that are made of them; first layers apart.
  const uint64_t floats = plan->segments[static_cast<size_t>(Segment::activations)].bytes / sizeof(float) / 2;
  EXPECT_LE(floats, 56u * 56 * (256 + 128 + 64) + 1024);
}

TEST(Plan, NamesRecurrentParametersLikePyTorch) {
  const auto plan = plan_of(request("rnn/bilstm-4x320"));
  ASSERT_EQ(plan->parameters.size(), 4u * 8 + 1);
  EXPECT_EQ(plan->parameters[0].name, "rnn.weight_ih_l0");
  EXPECT_EQ(plan->parameters[3].name, "rnn.bias_hh_l0");
  EXPECT_EQ(plan->parameters[4].name, "rnn.weight_ih_l0_reverse");
  EXPECT_EQ(plan->parameters[4].dims, (std::vector<uint64_t>{1280, 123}));
  EXPECT_EQ(plan->parameters[28].name, "rnn.weight_ih_l3_reverse");
  EXPECT_EQ(plan->parameters[28].dims, (std::vector<uint64_t>{1280, 640}));
  EXPECT_EQ(plan->parameters[32].name, "fc.weight");
}

// Of the last layer its last step alone is put out, the layers in front of it keep theirs until they have been gone back
// through.
TEST(Plan, SequencesLiveUntilTheWayBack) {
  const auto plan = plan_of(request("rnn/bilstm-4x320"));
  const Program& program = plan->program;
  const auto tensor = [&](const char* name) {
    for (const Tensor& t : program.tensors)
      if (t.name == name) return t;
    ADD_FAILURE() << "no tensor " << name;
    return Tensor{};
  };
  EXPECT_EQ(tensor("rnn.l0").time_steps, 1000u);
  EXPECT_EQ(tensor("rnn.l0").bytes, 25ull * 1000 * 640 * 4);
  EXPECT_EQ(tensor("rnn.l0").last_op, 11u);  // its own backward operation, the last one
  EXPECT_EQ(tensor("rnn.l3").time_steps, 0u);
  EXPECT_EQ(tensor("rnn.l3").bytes, 25ull * 640 * 4);
  EXPECT_EQ(tensor("rnn.l0.gradient").time_steps, 1000u);
  EXPECT_EQ(program.ops[4].only_last_step, true);
  EXPECT_EQ(program.ops[1].only_last_step, false);
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
  asked.fold_least_bytes = fold_nothing;
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

const Tensor* tensor_of(const Plan& plan, const std::string& name) {
  for (const Tensor& tensor : plan.program.tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

TEST(Plan, UpdatesOfLargeWeightsAreFoldedIntoTheirGradients) {
  PlanRequest asked = request("mnist/cnn-valid");  // Adam
  const auto plan = plan_of(asked);
  const Program& program = plan->program;
  uint32_t folded = 0;
  for (const Op& op : program.ops) {
    if (!op.folded_update) continue;
    ++folded;
    EXPECT_EQ(op.layer, "fc1");
    EXPECT_EQ(*op.folded_update, OpKind::update_adam);
    EXPECT_EQ(op.dweight, no_tensor);
    EXPECT_EQ(op.parameters, op.weight);
    EXPECT_EQ(op.statistics, plan->statistics);
    // Each part lies in its block as the weight lies in the parameters'.
    const uint64_t place = program.tensors[op.weight].offset - program.tensors[plan->parameter_block].offset;
    EXPECT_EQ(program.tensors[op.state].offset - program.tensors[plan->state_block].offset, place);
    EXPECT_EQ(program.tensors[op.state2].offset - program.tensors[plan->state2_block].offset, place);
    EXPECT_EQ(op.parameter_elements * sizeof(float), program.tensors[op.weight].bytes);
    // What the update op covers ends where the folded weight begins.
    EXPECT_EQ(program.ops.back().parameter_elements * sizeof(float), place);
    EXPECT_EQ(program.tensors[plan->gradient_block].bytes, place);
  }
  EXPECT_EQ(folded, 1u);
  EXPECT_EQ(tensor_of(*plan, "fc1.weight.gradient"), nullptr);
  EXPECT_NE(tensor_of(*plan, "fc2.weight.gradient"), nullptr);
  EXPECT_NE(plan_text(*plan).find("linear_backward + bias + relu + dropout + update_adam"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(plan_json(*plan))["folded_updates"], nlohmann::json({"fc1"}));
  // Users see the order of the layers, whatever lies where.
  EXPECT_EQ(plan->parameters.front().name, "conv1.weight");
  EXPECT_EQ(plan->parameters[4].name, "fc1.weight");

  asked.fold_least_bytes = fold_nothing;
  const auto unfolded = plan_of(asked);
  EXPECT_GE(unfolded->program.region_bytes, program.region_bytes + tensor_of(*plan, "fc1.weight")->bytes - 4096);
  EXPECT_EQ(nlohmann::json::parse(plan_json(*unfolded))["folded_updates"], nlohmann::json::array());
}

TEST(Plan, FoldedUpdatesRoundTheWeightInBf16) {
  PlanRequest asked = request("mnist/cnn-valid");
  asked.device_config.precision = Precision::bf16;
  const auto plan = plan_of(asked);
  const auto& tensors = plan->program.tensors;
  uint32_t folded = 0;
  for (const Op& op : plan->program.ops) {
    if (!op.folded_update) continue;
    ++folded;
    EXPECT_EQ(tensors[op.parameters].name, "fc1.weight");
    EXPECT_EQ(tensors[op.weight].name, "fc1.weight.copy");
    EXPECT_EQ(op.copies, op.weight);
    EXPECT_EQ(2 * (tensors[op.copies].offset - tensors[plan->program.ops.back().copies].offset),
              tensors[op.parameters].offset - tensors[plan->parameter_block].offset);
  }
  EXPECT_EQ(folded, 1u);
}

TEST(Plan, OnlyWholeBatchesAreFolded) {
  PlanRequest asked = request("mnist/cnn-same");
  asked.recipe.batch = 5000;
  EXPECT_NE(tensor_of(*plan_of(asked), "fc1.weight.gradient"), nullptr);
  asked.recipe.batch = 0;
  EXPECT_NE(tensor_of(*plan_of(asked), "fc1.weight.gradient"), nullptr);
}

TEST(Plan, NothingIsLeftForTheUpdateWhereAllIsFolded) {
  PlanRequest asked = request("mnist/linear");
  asked.recipe.batch = 10;
  asked.recipe.layers.back().bias = false;
  asked.fold_least_bytes = 0;
  const auto plan = plan_of(asked);
  EXPECT_EQ(plan->program.ops.size(), plan->program.backward_end);
  EXPECT_EQ(plan->program.tensors[plan->gradient_block].bytes, 0u);
}

TEST(Plan, WholeBatchesOfMnistFitInto20MiB) {
  PlanRequest asked = request("mnist/cnn-same");
  asked.device = "cpu";
  asked.device_config.threads = 1;
  asked.memory_cap_bytes = 20 << 20;
  const auto plan = plan_of(asked);
  EXPECT_EQ(plan->program.micro_batch, 64u);
  EXPECT_LE(plan->program.region_bytes, asked.memory_cap_bytes);
  EXPECT_TRUE(plan->program.frugal);
  // One byte less than the smallest cap is refused, the smallest is enough, and its micro-batches are whole.
  std::shared_ptr<const Plan> none;
  asked.memory_cap_bytes = 1 << 20;
  EXPECT_EQ(plan_make(asked, &none), Status::memory);
  const std::string sentence = last_error();
  EXPECT_NE(sentence.find("(micro-batches of 64 samples)"), std::string::npos) << sentence;
  asked.memory_cap_bytes = std::stoull(sentence.substr(sentence.find("trains it is ") + 13));
  EXPECT_EQ(plan_of(asked)->program.micro_batch, 64u);
  --asked.memory_cap_bytes;
  EXPECT_EQ(plan_make(asked, &none), Status::memory);
}

TEST(Plan, CalibrationOfInt8IsWithinTheMemoryCap) {
  PlanRequest asked = request("resnet50");
  asked.recipe.batch = 8;
  asked.device_config.precision = Precision::int8;
  const auto bytes = [](const Plan& plan) { return plan.program.region_bytes + plan.calibration->program.region_bytes; };
  const auto free = plan_of(asked);
  ASSERT_NE(free->calibration, nullptr);
  asked.memory_cap_bytes = bytes(*free) - 1;  // its calibration takes less, one picture at a time
  const auto capped = plan_of(asked);
  EXPECT_EQ(capped->program.micro_batch, 8u);
  EXPECT_LE(bytes(*capped), asked.memory_cap_bytes);
  asked.memory_cap_bytes = bytes(*capped) - 1;
  const auto split = plan_of(asked);
  ASSERT_NE(split->calibration, nullptr);
  EXPECT_LT(split->program.micro_batch, 8u);
  EXPECT_LE(bytes(*split), asked.memory_cap_bytes);
  asked.memory_cap_bytes = split->program.region_bytes / 2;
  std::shared_ptr<const Plan> none;
  EXPECT_EQ(plan_make(asked, &none), Status::memory);
  const std::string sentence = last_error();
  const size_t at = sentence.find("serves it is ");
  ASSERT_NE(at, std::string::npos) << sentence;
  asked.memory_cap_bytes = std::stoull(sentence.substr(at + 13));
  EXPECT_EQ(plan_of(asked)->program.micro_batch, 1u) << sentence;
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
