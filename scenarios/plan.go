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

// Faults are the columns of the matrix beside performance, in print order.
func Faults() []nemesis.Fault {
	return []nemesis.Fault{
		{Kind: "kill", Target: nemesis.Master, Recovery: nemesis.Returns},
		{Kind: "power", Target: nemesis.Master, Recovery: nemesis.Returns},
		{Kind: "power", Target: nemesis.Master, Recovery: nemesis.Promoted},
		{Kind: "power", Target: nemesis.All, Recovery: nemesis.Returns},
	}
}

// FaultName returns the name of a column as --faults takes it, such as power-returns.
func FaultName(f nemesis.Fault) string {
	return result.Column(string(f.Kind), string(f.Target), string(f.Recovery))
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

// SelectFaults returns the columns that names ask for, in print order; all without names.
func SelectFaults(names []string) ([]nemesis.Fault, error) {
	return selectBy("--faults", Faults(), names, FaultName, func(f nemesis.Fault, name string) bool {
		return strings.EqualFold(name, FaultName(f))
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

// IsControl reports whether the cell must lose something, or the harness is broken: ASYNC_MASTER + ASYNC_FLUSH whose
// master loses power and returns. Source: contracts.md section 5.
func IsControl(c result.Contract, f nemesis.Fault) bool {
	return c.BrokerRole == "ASYNC_MASTER" && c.FlushDiskType == "ASYNC_FLUSH" && f.Kind == "power" && f.Recovery == nemesis.Returns
}
