package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/reports/result"
	"holdfast/scenarios/scenario"
)

// Contracts are the rows of the matrix, in print order.
func Contracts() []result.Contract { return scenario.Contracts() }

// ContractName returns the name of a row as --contracts takes it, such as SYNC_MASTER/2+ASYNC_FLUSH.
func ContractName(c result.Contract) string { return scenario.ContractName(c) }

// columnNames are the columns of the matrix beside performance, in print order; the first quickColumns are those of the quick
// set. Source: faults.md section 4.
var columnNames = []string{
	"kill-returns", "power-returns", "power-promoted", "power-all",
	"power-returns-then-promoted", "disk-lost-promoted", "disk-lost-returns",
	"partition-slave", "isolate-master", "slow-slave", "fsync-error", "trickle",
}

const quickColumns = 4

// availabilityNames are the columns that ask what a second broker group buys. They are in the full matrix, for the contracts of their
// scenarios alone: whom a sender reaches does not depend on what is acknowledged.
var availabilityNames = []string{"master-away", "another-group-takes-over", "master-dark", "another-group-takes-over-dark"}

// Columns are the scenarios that the matrix does to every contract, in print order.
func Columns() []Column { return embeddedColumns(columnNames) }

func embeddedColumns(names []string) []Column {
	all := make([]Column, len(names))
	for i, name := range names {
		s, err := scenario.Embedded(name)
		if err != nil {
			panic(fmt.Sprintf("the embedded scenario %s: %v", name, err)) // a test reads them all
		}
		all[i] = Column{Scenario: s}
	}
	return all
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

// SelectColumns returns the columns that names ask for, those of the matrix in print order and then other embedded scenarios in the
// order of the names; without names all of the matrix and what a second group buys, or the quick ones.
func SelectColumns(names []string, quick bool) ([]Column, error) {
	all := Columns()
	if len(names) == 0 && quick {
		return all[:quickColumns], nil
	}
	if len(names) == 0 {
		return append(all, embeddedColumns(availabilityNames)...), nil
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(c Column) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, c.Name()) })
	})
	for _, name := range names {
		if slices.ContainsFunc(chosen, func(c Column) bool { return strings.EqualFold(name, c.Name()) }) {
			continue
		}
		s, err := scenario.Embedded(name)
		if err != nil {
			return nil, fmt.Errorf("--faults %q is unknown; allowed: %s, and every scenario that 'holdfast run --list' names", name, strings.Join(columnNames, ", "))
		}
		chosen = append(chosen, Column{Scenario: s})
	}
	return chosen, nil
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
