// The built-in stand-in for the film reviews: 30,000 texts from a small grammar, as numbers of words, drawn from a seed. A
// review is a row of sentences that tell the story or give an opinion, most of them the review's own; some praise by saying
// that something is not bad, so that order carries meaning, though counting words goes far. The story's words are many and
// most of them rare, so that a batch of 64 has about 2,500 different ones, as real reviews do (2,300): its steps cost alike.
// There are as many to train on as real ones, too: with a third of them an embedding and a GRU learn them by heart (64 % of
// the test set after 4 epochs), with all they get to 98 % in two. A seed gives the same numbers on every machine.
#include <new>
#include <vector>

#include "data/formats.h"
#include "data/reviews.h"
#include "data/synthetic.h"

namespace lt::data {
namespace {

constexpr uint32_t train_count = 25'000, test_count = 5000, vocabulary = 30'000;

// The grammar's kinds of words. Each has a range of numbers; what a word is spelled like plays no part.
enum Kind : uint8_t {
  the,  // the words that hold a sentence together, one number each
  was,
  not_,
  but,
  i,
  very,    // "very", "rather", ...
  thing,   // "plot", "acting", "music", ...
  praise,  // "superb", "moving", ... in a bad review's mouth only now and then
  blame,   // "dull", "wooden", ...
  liked,   // "liked", "enjoyed", ...
  hated,   // "hated", "regretted", ...
  told,    // "meets", "leaves", ...
  story,   // names, places, things that happen
  kinds,
  opinion,   // stands for praise or blame, and `felt` for liked or hated, whichever the sentence means
  opposite,  // the other one
  felt,
  end,
};

constexpr uint16_t sizes[kinds] = {1, 1, 1, 1, 1, 8, 40, 40, 40, 12, 12, 60, 29'000};

constexpr uint16_t first_of(Kind kind) {
  uint16_t first = review_first_word;
  for (int k = 0; k < kind; ++k) first = static_cast<uint16_t>(first + sizes[k]);
  return first;
}
static_assert(first_of(story) + sizes[story] <= vocabulary);

constexpr uint32_t sentence_words_max = 10;
using Sentence = Kind[sentence_words_max + 1];

constexpr Sentence opinions[] = {
    {the, thing, was, opinion, end},                                  // the acting was superb
    {the, thing, was, very, opinion, end},                            //
    {i, felt, the, opinion, thing, end},                              // i enjoyed the moving story
    {the, opinion, thing, was, very, opinion, end},                   //
    {the, thing, was, opposite, but, the, thing, was, opinion, end},  // the plot was thin but the music was superb
};
constexpr Sentence negated[] = {
    {the, thing, was, not_, opposite, end},        // the music was not bad
    {the, thing, was, not_, very, opposite, end},  //
};
constexpr Sentence stories[] = {
    {the, story, story, told, the, story, story, end},
    {story, told, story, story, but, story, was, told, story, end},
    {the, story, story, was, told, story, the, story, story, end},
    {i, told, story, the, story, thing, story, end},
};

template <size_t n>
const Sentence& choose(const Sentence (&sentences)[n], Draw& draw) {
  return sentences[draw.below(n)];
}

uint16_t draw_word(Kind kind, bool good, Draw& draw) {
  switch (kind) {
    case opinion: kind = good ? praise : blame; break;
    case opposite: kind = good ? blame : praise; break;
    case felt: kind = good ? liked : hated; break;
    default: break;
  }
  if (kind != story) return static_cast<uint16_t>(first_of(kind) + draw.below(sizes[kind]));
  // A product of uniform numbers leans towards 0: some words are frequent, most are rare.
  const float u = draw.uniform() * draw.uniform();
  return static_cast<uint16_t>(first_of(story) + static_cast<uint32_t>(u * static_cast<float>(sizes[story])));
}

// 40 to 740 words, half of the reviews longer than the 150 that are read.
void draw_review(bool good, Draw& draw, std::vector<uint16_t>* words) {
  words->push_back(review_start);
  const size_t until = words->size() + 40 + static_cast<size_t>(700 * draw.uniform() * draw.uniform());
  while (words->size() < until) {
    const Sentence* sentence = &choose(stories, draw);
    bool means_good = good;
    if (draw.uniform() < 0.5f) {
      means_good = draw.uniform() < 0.9f ? good : !good;
      sentence = draw.uniform() < 0.125f ? &choose(negated, draw) : &choose(opinions, draw);
    }
    for (const Kind* kind = *sentence; *kind != end; ++kind) words->push_back(draw_word(*kind, means_good, draw));
  }
}

class SyntheticReviews final : public ReviewDataset {
 public:
  SyntheticReviews(Split split, uint64_t seed) {
    const uint32_t count = split == Split::test ? test_count : train_count;
    offsets_.push_back(0);
    for (uint32_t sample = 0; sample < count; ++sample) {
      Draw draw(seed, split, sample);
      labels_.push_back(static_cast<uint8_t>(draw.below(2)));
      draw_review(labels_.back() == 1, draw, &words_);
      offsets_.push_back(static_cast<int64_t>(words_.size()));
    }
    set("synthetic", "synthetic reviews", vocabulary, {offsets_.data(), words_.data(), labels_.data(), count});
  }

 private:
  std::vector<int64_t> offsets_;
  std::vector<uint16_t> words_;
  std::vector<uint8_t> labels_;
};

Status open(const char*, Split split, uint64_t seed, std::unique_ptr<Dataset>* dataset) {
  try {
    *dataset = std::make_unique<SyntheticReviews>(split, seed);
  } catch (const std::bad_alloc&) {
    return fail(Status::memory, "synthetic reviews: their numbers were refused memory by the system");
  }
  return Status::ok;
}

}  // namespace

const DatasetFormat synthetic_reviews = {
    "synthetic-reviews", "film reviews made up by the program", true, nullptr, nullptr, synthetic_found, open};

}  // namespace lt::data
