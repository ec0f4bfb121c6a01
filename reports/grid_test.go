package reports

import (
	"slices"
	"testing"
)

// TestSplitLosesNoColumn: every column stands in one block, in order, and no block is wider than asked while it can be split.
func TestSplitLosesNoColumn(t *testing.T) {
	g := newView(wide(), nil).overview(nil)
	for width := 40; width <= 200; width++ {
		var seen []int
		blocks := g.split(width)
		for _, block := range blocks {
			if !slices.Equal(block[:2], []int{0, 1}) {
				t.Fatalf("%d columns: a block without its stub: %v", width, block)
			}
			if n := g.blockWidth([][]int{block}); n > width && len(block) > 3 {
				t.Errorf("%d columns: a block of %d that could be split: %v", width, n, block)
			}
			seen = append(seen, block[2:]...)
		}
		if len(seen) != len(g.Columns)-2 || !slices.IsSorted(seen) {
			t.Fatalf("%d columns: columns %v of %d", width, seen, len(g.Columns))
		}
		if fewest := len(g.fill(width)); len(blocks) != fewest {
			t.Errorf("%d columns: %d blocks, %d are enough", width, len(blocks), fewest)
		}
	}
}

// TestOneColumnIsNotLeftAlone where the blocks before it could spare one.
func TestOneColumnIsNotLeftAlone(t *testing.T) {
	g := newView(wide(), nil).overview(nil)
	blocks := g.split(120)
	if last := blocks[len(blocks)-1]; len(last) < 5 {
		t.Errorf("the last block has the columns %v; all: %v", last, blocks)
	}
	if greedy := g.fill(120); len(greedy[len(greedy)-1]) != 3 {
		t.Errorf("the sample no longer leaves a single column to the last block: %v", greedy)
	}
}
