package scenario

import (
	"strings"

	"github.com/goccy/go-yaml/ast"

	"holdfast/reports/result"
)

const (
	asyncFlush = "ASYNC_FLUSH"
	syncFlush  = "SYNC_FLUSH"
)

// Contracts are the rows of the matrix, in print order.
func Contracts() []result.Contract {
	var rows []result.Contract
	for _, role := range []struct {
		name   string
		inSync int
	}{{"ASYNC_MASTER", 0}, {"SYNC_MASTER", 1}, {"SYNC_MASTER", 2}} {
		for _, flush := range []string{asyncFlush, syncFlush} {
			rows = append(rows, result.Contract{BrokerRole: role.name, FlushDiskType: flush, InSyncReplicas: role.inSync})
		}
	}
	return rows
}

// ContractName is a row's name in files: SYNC_MASTER/2+ASYNC_FLUSH.
func ContractName(c result.Contract) string { return c.Role() + "+" + c.FlushDiskType }

// contractsNamed returns the rows that a name stands for: one, or both SYNC_MASTER where the number of replicas is left out.
func contractsNamed(name string) []result.Contract {
	var rows []result.Contract
	for _, c := range Contracts() {
		if name == ContractName(c) || name == c.BrokerRole+"+"+c.FlushDiskType {
			rows = append(rows, c)
		}
	}
	return rows
}

// contractNames lists every name that stands for a row, in print order.
func contractNames() []string {
	var names []string
	for _, c := range Contracts() {
		names = append(names, ContractName(c))
	}
	return append(names, "SYNC_MASTER+"+asyncFlush, "SYNC_MASTER+"+syncFlush)
}

// contractList is a list of contract names, or one.
type contractList struct{}

func (contractList) read(r *reader, n ast.Node, into any) *place {
	var names []string
	p := namesOf(contractNames()).read(r, n, &names)
	rows := into.(*[]result.Contract)
	for _, name := range names {
		*rows = append(*rows, contractsNamed(name)...)
	}
	return p
}

func (contractList) write(from any) node {
	var items []node
	for _, c := range *from.(*[]result.Contract) {
		items = append(items, text(ContractName(c)))
	}
	return node{items: items, list: true}
}

func (contractList) schema() schema { return namesOf(contractNames()).schema() }
func (contractList) allowed() string {
	return "a list of " + strings.Join(contractNames(), ", ")
}
