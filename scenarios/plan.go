package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/nemesis"
	"holdfast/reports/result"
)

// Contracts are the rows of the matrix, in print order.
func Contracts() []result.Contract {
	var rows []result.Contract
	for _, role := range []struct {
		name   string
		inSync int
	}{{"ASYNC_MASTER", 0}, {"SYNC_MASTER", 1}, {"SYNC_MASTER", 2}} {
		for _, flush := range []string{"ASYNC_FLUSH", "SYNC_FLUSH"} {
			rows = append(rows, result.Contract{BrokerRole: role.name, FlushDiskType: flush, InSyncReplicas: role.inSync})
		}
	}
	return rows
}

// ContractName returns the name of a row as --contracts takes it, such as SYNC_MASTER/2+ASYNC_FLUSH.
func ContractName(c result.Contract) string {
	return strings.ReplaceAll(c.String(), " ", "")
}

// Columns are those of the matrix beside performance, in print order. Source: faults.md section 4.
func Columns() []Column {
	one := func(kind nemesis.Kind, target nemesis.Target, recovery nemesis.Recovery) nemesis.Schedule {
		return nemesis.Schedule{{Kind: kind, Target: target, Recovery: recovery}}
	}
	return []Column{
		{Name: "kill-returns", Quick: true, Schedule: one(nemesis.Kill, nemesis.Master, nemesis.Returns)},
		{Name: "power-returns", Quick: true, Schedule: one(nemesis.Power, nemesis.Master, nemesis.Returns)},
		{Name: "power-promoted", Quick: true, Schedule: one(nemesis.Power, nemesis.Master, nemesis.Promoted)},
		{Name: "power-all", Quick: true, Schedule: one(nemesis.Power, nemesis.All, nemesis.Returns)},
	}
}

// SelectContracts returns the rows that names ask for, in print order; all without names. A SYNC_MASTER without the number
// of replicas that it waits for asks for all of them. An unknown name is an error that lists what is allowed.
func SelectContracts(names []string) ([]result.Contract, error) {
	rows := Contracts()
	short := func(c result.Contract) string { return c.BrokerRole + "+" + c.FlushDiskType }
	wanted := func(c result.Contract, name string) bool {
		return strings.EqualFold(name, ContractName(c)) || strings.EqualFold(name, short(c))
	}
	return selectBy("--contracts", rows, names, ContractName, wanted)
}

// SelectColumns returns the columns that names ask for, in print order; without names all, or the quick ones.
func SelectColumns(names []string, quick bool) ([]Column, error) {
	all := Columns()
	if len(names) == 0 && quick {
		return slices.DeleteFunc(all, func(c Column) bool { return !c.Quick }), nil
	}
	return selectBy("--faults", all, names, func(c Column) string { return c.Name }, func(c Column, name string) bool {
		return strings.EqualFold(name, c.Name)
	})
}

func selectBy[T any](flag string, all []T, names []string, nameOf func(T) string, wanted func(T, string) bool) ([]T, error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(x T) bool { return wanted(x, name) }) {
			allowed := make([]string, len(all))
			for i, x := range all {
				allowed[i] = nameOf(x)
			}
			return nil, fmt.Errorf("%s %q is unknown; allowed: %s", flag, name, strings.Join(allowed, ", "))
		}
	}
	var chosen []T
	for _, x := range all {
		if slices.ContainsFunc(names, func(name string) bool { return wanted(x, name) }) {
			chosen = append(chosen, x)
		}
	}
	return chosen, nil
}

// cellID returns the directory name of a cell: sync-master-2.async-flush.power-returns.
func cellID(c result.Contract, column string) string {
	slug := strings.NewReplacer("_", "-", "/", "-", " + ", ".")
	return strings.ToLower(slug.Replace(c.String())) + "." + column
}
