package scenarios

import (
	"strings"
	"testing"
	"time"
)

func TestSelectContracts(t *testing.T) {
	for _, row := range []struct {
		says  string
		names []string
		want  string // names of rows, or part of the error
		fails bool
	}{
		{"no name: all six", nil, "ASYNC_MASTER+ASYNC_FLUSH,ASYNC_MASTER+SYNC_FLUSH,SYNC_MASTER/1+ASYNC_FLUSH,SYNC_MASTER/1+SYNC_FLUSH,SYNC_MASTER/2+ASYNC_FLUSH,SYNC_MASTER/2+SYNC_FLUSH", false},
		{"print order, whatever the order of names", []string{"SYNC_MASTER/2+ASYNC_FLUSH", "async_master+sync_flush"}, "ASYNC_MASTER+SYNC_FLUSH,SYNC_MASTER/2+ASYNC_FLUSH", false},
		{"SYNC_MASTER without a number is both", []string{"SYNC_MASTER+ASYNC_FLUSH"}, "SYNC_MASTER/1+ASYNC_FLUSH,SYNC_MASTER/2+ASYNC_FLUSH", false},
		{"an unknown name lists what is allowed", []string{"SYNC_SLAVE"}, `--contracts "SYNC_SLAVE" is unknown; allowed: ASYNC_MASTER+ASYNC_FLUSH`, true},
	} {
		got, err := SelectContracts(row.names)
		if row.fails {
			if err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("%s: got %v, want %s", row.says, err, row.want)
			}
			continue
		}
		var names []string
		for _, c := range got {
			names = append(names, ContractName(c))
		}
		if strings.Join(names, ",") != row.want {
			t.Errorf("%s: got %v, want %s", row.says, names, row.want)
		}
	}
}

func TestPhaseCoversTheWindow(t *testing.T) {
	for _, row := range []struct {
		says string
		i, k int
		u    float64
		want time.Duration
	}{
		{"first of three, earliest", 0, 3, 0, 0},
		{"second of three, middle of its stratum", 1, 3, 0.5, 250 * time.Millisecond},
		{"a single cut may fall anywhere", 0, 1, 0.8, 400 * time.Millisecond},
	} {
		if got := Phase(row.i, row.k, row.u, WindowUnderLoad); got != row.want {
			t.Errorf("%s: got %v, want %v", row.says, got, row.want)
		}
	}
}
