// Recipes: the built-in ones, writing them out again, and texts that must be refused with a sentence that names the place.
#include <gtest/gtest.h>

#include <string>

#include "src/plan/join.h"
#include "src/plan/recipe.h"

namespace lt {
namespace {

Recipe built_in(const char* name) {
  Recipe recipe;
  EXPECT_TRUE(ok(recipe_parse(built_in_recipe(name)->text, name, &recipe))) << last_error();
  return recipe;
}

TEST(Recipe, BuiltInOnesSurviveWritingAndReading) {
  ASSERT_GE(built_in_recipe_count, 4u);
  for (size_t i = 0; i < built_in_recipe_count; ++i) {
    const Recipe recipe = built_in(built_in_recipes[i].name);
    EXPECT_EQ(recipe.name, built_in_recipes[i].name);
    const std::string text = recipe_write(recipe);
    Recipe again;
    ASSERT_TRUE(ok(recipe_parse(text, "written", &again))) << last_error() << "\n" << text;
    EXPECT_EQ(recipe_write(again), text);
    EXPECT_EQ(again.lr, recipe.lr);
    EXPECT_EQ(again.scale, recipe.scale);
    EXPECT_EQ(again.drop_last_batch, recipe.drop_last_batch);
    EXPECT_EQ(again.layers.size(), recipe.layers.size());
  }
}

TEST(Recipe, LastBatchesAreKeptUnlessDropped) {
  EXPECT_FALSE(built_in("mnist/cnn-same").drop_last_batch);
  EXPECT_TRUE(built_in("cifar10").drop_last_batch);
}

TEST(Recipe, LayersAreJoined) {
  std::vector<JoinedLayer> joined;
  ASSERT_TRUE(ok(join_layers(built_in("mnist/cnn-same"), &joined)));
  ASSERT_EQ(joined.size(), 5u);  // input, two convolutions, two linear layers
  EXPECT_EQ(joined[1].op.kind, OpKind::conv2d);
  EXPECT_TRUE(joined[1].op.has_pool && joined[1].op.has_relu && joined[1].op.has_bias);
  EXPECT_EQ(joined[2].op.y_extent, (Extent{7, 7, 64}));
  EXPECT_EQ(joined[3].fan_in, 3136u);
  EXPECT_TRUE(joined[3].op.has_relu);
  EXPECT_FLOAT_EQ(joined[3].op.dropout, 0.4f);
  EXPECT_FALSE(joined[4].op.has_bias);
}

const std::string head =
    "name = \"a\"\n[input]\nshape = [1, 8, 8]\n[training]\nbatch = 4\nepochs = 1\noptimizer = \"sgd\"\n";
const std::string linear = "[[layer]]\ntype = \"linear\"\nname = \"fc\"\nout_features = 3\n";

const std::string sequences =
    "name = \"a\"\n[input]\nsteps = 7\nfeatures = 3\ntype = \"f32\"\n[training]\nbatch = 4\nepochs = 1\noptimizer = "
    "\"sgd\"\n";
const std::string gru = "[[layer]]\ntype = \"gru\"\nname = \"rnn\"\nunits = 5\n";
const std::string last_step = "[[layer]]\ntype = \"last_step\"\n";

std::vector<JoinedLayer> joined_of(const std::string& text) {
  Recipe recipe;
  std::vector<JoinedLayer> joined;
  EXPECT_TRUE(ok(recipe_parse(text, "r.toml", &recipe))) << last_error();
  EXPECT_TRUE(ok(join_layers(recipe, &joined))) << last_error();
  return joined;
}

TEST(Recipe, AStackBecomesAnOperationALayer) {
  const auto joined = joined_of(sequences + gru + "layers = 3\nbidirectional = true\nbias = false\n" + last_step + linear);
  ASSERT_EQ(joined.size(), 5u);
  for (size_t i = 1; i < 4; ++i) {
    const Op& op = joined[i].op;
    EXPECT_EQ(op.layer, "rnn.l" + std::to_string(i - 1));
    EXPECT_EQ(op.x_extent, (Extent{7, 1, i == 1 ? 3u : 10u}));
    EXPECT_EQ(op.y_extent, (Extent{i == 3 ? 1u : 7u, 1, 10}));
    EXPECT_EQ(op.only_last_step, i == 3);
    EXPECT_TRUE(op.directions == 2 && !op.has_bias && op.has_lengths);
  }
  EXPECT_EQ(joined[4].op.rows_per_sample, 1u);
  EXPECT_EQ(joined[4].fan_in, 10u);
}

TEST(Recipe, ALinearLayerMultipliesEveryStep) {
  const auto joined = joined_of(sequences + linear + gru + last_step);
  ASSERT_EQ(joined.size(), 3u);
  EXPECT_EQ(joined[1].op.rows_per_sample, 7u);
  EXPECT_EQ(joined[1].op.x_extent, (Extent{1, 1, 3}));
  EXPECT_EQ(joined[2].op.x_extent, (Extent{7, 1, 3}));
}

const std::string inference = "name = \"a\"\n[input]\nshape = [3, 20, 16]\n[inference]\nbatch = 4\n";
const std::string norm = "[[layer]]\ntype = \"batch_norm\"\nname = \"bn\"\n";
const std::string conv =
    "[[layer]]\ntype = \"conv2d\"\nname = \"conv\"\nout_channels = 8\nkernel = 3\npadding = 1\nbias = false\n";
const std::string bottleneck =
    "[[layer]]\ntype = \"bottleneck\"\nname = \"layer1\"\nwidth = 4\nout_channels = 16\nblocks = 2\nstride = 2\n";

TEST(Recipe, ABottleneckBecomesConvolutionsWithTheirNormsAndSums) {
  const auto joined = joined_of(inference + conv + norm + "[[layer]]\ntype = \"relu\"\n" + bottleneck +
                                "[[layer]]\ntype = \"average_pool\"\n");
  ASSERT_EQ(joined.size(), 10u);  // input, conv, four and three convolutions, the pool
  EXPECT_EQ(joined[1].batch_norm, "bn");
  EXPECT_TRUE(joined[1].op.has_bias && joined[1].op.has_relu);
  const char* const names[] = {"layer1.0.conv1", "layer1.0.conv2", "layer1.0.downsample.0", "layer1.0.conv3",
                               "layer1.1.conv1", "layer1.1.conv2", "layer1.1.conv3"};
  const char* const norms[] = {"layer1.0.bn1", "layer1.0.bn2", "layer1.0.downsample.1", "layer1.0.bn3",
                               "layer1.1.bn1", "layer1.1.bn2", "layer1.1.bn3"};
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(joined[2 + i].op.layer, names[i]);
    EXPECT_EQ(joined[2 + i].batch_norm, norms[i]);
    EXPECT_EQ(joined[2 + i].op.has_relu, i != 2) << names[i];
  }
  EXPECT_EQ(joined[2].op.y_extent, (Extent{20, 16, 4})) << "the stride is the 3x3's";
  EXPECT_EQ(joined[3].op.y_extent, (Extent{10, 8, 4}));
  EXPECT_EQ(joined[4].x_from, 1u);
  EXPECT_EQ(joined[4].op.y_extent, (Extent{10, 8, 16}));
  EXPECT_EQ(joined[5].x_from, 3u);
  EXPECT_EQ(joined[5].residual_from, 4u);
  EXPECT_EQ(joined[8].residual_from, 5u) << "a block that changes nothing adds what it was given";
  EXPECT_EQ(joined[9].op.y_extent, (Extent{1, 1, 16}));
}

struct Refused {
  std::string text, sentence;
};

class RecipeRefused : public ::testing::TestWithParam<Refused> {};

TEST_P(RecipeRefused, WithASentenceThatNamesThePlace) {
  Recipe recipe;
  std::vector<JoinedLayer> joined;
  Status status = recipe_parse(GetParam().text, "r.toml", &recipe);
  if (ok(status)) status = join_layers(recipe, &joined);
  EXPECT_EQ(status, Status::argument);
  EXPECT_NE(std::string(last_error()).find(GetParam().sentence), std::string::npos) << last_error();
}

INSTANTIATE_TEST_SUITE_P(
    Texts, RecipeRefused,
    ::testing::Values(
        Refused{"", "name is missing"}, Refused{"name = ", "line 1: not TOML"}, Refused{"[<]", "line 1: not TOML"},
        Refused{"[input]\nsteps\u02f2 = 10", "line 2: not TOML"}, Refused{"name = \"a b\"", "must not have spaces"},
        Refused{"name = \"a\"\nnmae = 1", "nmae is not a key"}, Refused{"name = \"a\"", "[input] is missing"},
        Refused{head, "[[layer]]"}, Refused{head + "[[layer]]\ntype = \"conv3d\"", "expected one of: conv2d"},
        Refused{head + "[[layer]]\ntype = \"linear\"\nname = \"x\"", "out_features is missing"},
        Refused{head + "[[layer]]\ntype = \"linear\"\nname = \"x\"\nout_features = 0", "whole number from 1"},
        Refused{head + "[[layer]]\ntype = \"linear\"\nname = \"x\"\nout_features = 99999999999", "whole number from 1"},
        Refused{head + "[[layer]]\ntype = \"linear\"\nname = \"x\"\nout_features = 3.5", "whole number from 1"},
        Refused{"name = \"a\"\n[input]\nshape = [1, 8, 8]\n[training]\nbatch = 4\nlast_batch = true\nepochs = 1", "string"},
        Refused{"name = \"a\"\n[input]\nshape = [1, 8, 8]\n[training]\nbatch = 4\nlast_batch = \"pad\"\nepochs = 1",
                "line 6: [training]: last_batch is \"pad\", expected one of: keep, drop"},
        Refused{"name = \"a\"\n[input]\nshape = [1, 8, 8]\n[training]\nbatch = \"all\"\nlast_batch = \"drop\"\nepochs = 1",
                "there is no short one"},
        Refused{head + linear + "bais = false", "line 12: [[layer]] 1: bais is not a key"},
        Refused{head + linear + linear, "two layers are called \"fc\""},
        Refused{head + "[[layer]]\ntype = \"relu\"", "no layer has weights"},
        Refused{head + gru, "layer rnn: gru takes a sequence"},
        Refused{head + conv + norm + linear, "layer bn: batch_norm is computed here, not trained"},
        Refused{head + bottleneck, "layer layer1: bottleneck is computed here, not trained"},
        Refused{inference + norm + conv, "layer bn: batch_norm stands directly behind a conv2d layer"},
        Refused{inference + "[[layer]]\ntype = \"conv2d\"\nname = \"conv\"\nout_channels = 8\nkernel = 3\n" + norm,
                "give conv bias = false"},
        Refused{inference + "[training]\nbatch = 4", "has both [training] and [inference]"},
        Refused{inference + "epochs = 3\n" + conv, "epochs is not a key"},
        Refused{inference + "[[layer]]\ntype = \"max_pool\"\nkernel = 3\npadding = 2\n", "whole number from 0 to 1"},
        Refused{sequences + gru, "put last_step behind the last gru or lstm layer"},
        Refused{sequences + gru + last_step + last_step, "last_step stands behind a gru or lstm layer alone"},
        Refused{sequences + "[[layer]]\ntype = \"max_pool\"\nkernel = 2", "max_pool does not take a sequence"},
        Refused{sequences + linear + "[[layer]]\ntype = \"dropout\"\nrate = 0.5\n" + gru, "dropout behind the steps"},
        Refused{sequences + "[[layer]]\ntype = \"gru\"\nname = \"r\"", "units is missing"},
        Refused{sequences + gru + "layers = 101", "whole number from 1 to 100"},
        Refused{"name = \"a\"\n[input]\nsteps = 7\n[training]\nbatch = 4\nepochs = 1\noptimizer = \"sgd\"\n" + linear,
                "features is missing"},
        Refused{"name = \"a\"\n[input]\nsteps = 7\nfeatures = 2\nshape = [1, 2, 3]\n[training]\nbatch = 4\nepochs = "
                "1\noptimizer = \"sgd\"\n" +
                    linear,
                "shape is for images"},
        Refused{head + "[[layer]]\ntype = \"conv2d\"\nname = \"c\"\nout_channels = 2\nkernel = 9\n" + linear,
                "does not fit"},
        Refused{head + "[[layer]]\ntype = \"conv2d\"\nname = \"c\"\nout_channels = 2\nkernel = 3",
                "end with a linear layer"},
        Refused{head + "[[layer]]\ntype = \"dropout\"\nrate = 1.0\n" + linear, "number from 0 to 0.999"},
        Refused{head + "[[layer]]\ntype = \"dropout\"\nrate = nan\n" + linear, "number from 0 to 0.999"},
        Refused{"name = \"a\"\n[input]\nshape = [1, 1048576, 1048576]\n[training]\nbatch = 4\nepochs = 1\noptimizer = "
                "\"sgd\"\n" +
                    linear,
                "too many elements"}));

}  // namespace
}  // namespace lt
