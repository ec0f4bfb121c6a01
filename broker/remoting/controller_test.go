package remoting

import (
	"errors"
	"reflect"
	"testing"
)

func TestControllerHeadersRoundTrip(t *testing.T) {
	members := []SyncMember{{1, 1 << 60, false}, {2, 7, true}}
	node := NodeHeader{BrokerHeader{"g", "10.0.0.1:1", "c", 2}, "10.0.0.1:2", -5, true, true, 3, 1 << 40, 8}
	state := SyncState{2, 1, "10.0.0.1:1", "10.0.0.1:2", 3, 9, 2500, members}
	alter := AlterSyncStateSetHeader{"g", 1, 3, 9, 77, members}
	elect := ElectMasterHeader{"g", 2, true}
	for _, form := range []Form{JSON, Binary} {
		ext := func(appendTo func(*Writer)) Ext {
			w := Begin(nil, &Frame{Form: form})
			appendTo(&w)
			f, _, err := Decode(w.Finish(nil))
			if err != nil {
				t.Fatal(err)
			}
			return f.Ext
		}
		same := func(got any, err error, want any) {
			t.Helper()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("form %d: got %+v, %v, want %+v", form, got, err, want)
			}
		}
		n, err := ParseNode(ext(node.Append))
		same(n, err, node)
		s, err := ParseSyncState(ext(state.Append))
		same(s, err, state)
		a, err := ParseAlterSyncStateSet(ext(alter.Append))
		same(a, err, alter)
		e, err := ParseElectMaster(ext(elect.Append))
		same(e, err, elect)
	}
}

func TestMembersAreChecked(t *testing.T) {
	for _, bad := range []string{"x", "1", "0:1", "2:1,1:1", "1:1,1:2", "1:a", "1:2??", ","} {
		w := Begin(nil, &Frame{Form: Binary})
		w.String("syncStateSet", bad)
		f, _, err := Decode(w.Finish(nil))
		if err != nil {
			t.Fatal(err)
		}
		r := reader{ext: f.Ext}
		if m := r.members("syncStateSet"); !errors.Is(r.err, ErrField) {
			t.Errorf("%q is read as %v, %v", bad, m, r.err)
		}
	}
}
