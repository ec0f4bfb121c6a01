package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// The dependency and determinism rules of docs/design.md, section "Tree", as tests.

// importRule forbids imports to the packages of a tree.
type importRule struct {
	why    string
	in     []string // package paths below holdfast/, with everything below them
	except []string // packages that are free of this rule
	ban    []string // forbidden import paths, with everything below them
	allow  []string // exceptions to ban
}

var importRules = []importRule{
	{
		why:    "the broker decides in Step, without clocks, goroutines, files or sockets",
		in:     []string{"broker", "loadgen/driver/rocketmq/client"},
		except: []string{"broker/server"},
		ban:    []string{"net", "os", "sync", "log", "math/rand", "crypto/rand"},
		allow:  []string{"net/netip", "math/rand/v2"},
	},
	{
		why: "a checker sees only the history and dumps",
		in:  []string{"checker"},
		ban: []string{"holdfast/broker", "holdfast/loadgen", "holdfast/nemesis", "holdfast/scenarios", "holdfast/reports", "net", "os/exec"},
	},
	{
		why:   "load and faults know no broker but by its codec and its disk model",
		in:    []string{"loadgen"},
		ban:   []string{"holdfast/broker", "holdfast/checker", "holdfast/nemesis", "holdfast/scenarios", "holdfast/reports"},
		allow: []string{"holdfast/checker/history"},
		except: []string{
			"loadgen/driver/rocketmq", "loadgen/nullserver",
		},
	},
	{
		why:   "the RocketMQ driver knows the codec alone",
		in:    []string{"loadgen/driver/rocketmq", "loadgen/nullserver"},
		ban:   []string{"holdfast/broker", "holdfast/checker", "holdfast/nemesis", "holdfast/scenarios", "holdfast/reports"},
		allow: []string{"holdfast/checker/history", "holdfast/broker/remoting", "holdfast/broker/message"},
	},
	{
		why:   "the nemesis knows the disk model alone",
		in:    []string{"nemesis"},
		ban:   []string{"holdfast/broker", "holdfast/checker", "holdfast/loadgen", "holdfast/scenarios", "holdfast/reports"},
		allow: []string{"holdfast/checker/history", "holdfast/broker/vfs"},
	},
	{
		why: "the broker is useful alone",
		in:  []string{"broker"},
		ban: []string{"holdfast/loadgen", "holdfast/checker", "holdfast/nemesis", "holdfast/scenarios", "holdfast/reports"},
	},
	{
		why:    "main passes the worlds and the reports in",
		in:     []string{"scenarios"},
		except: []string{"scenarios/sim", "scenarios/cluster"},
		ban:    []string{"holdfast/scenarios/sim", "holdfast/scenarios/cluster", "holdfast/reports"},
		allow:  []string{"holdfast/reports/result"},
	},
	{
		why:    "leaves import nothing of holdfast",
		in:     []string{"checker/history", "checker/promise", "reports/result", "broker/durability", "broker/remoting", "broker/message", "broker/vfs"},
		except: []string{"broker/vfs/vfstest"}, // the leaf's test suite
		ban:    []string{"holdfast"},
		allow:  []string{"holdfast/checker/history"}, // a leaf itself
	},
}

// pureFiles are the files outside the pure core although they lie in its tree: the real file system.
var pureFiles = []string{"broker/vfs/os.go", "broker/vfs/os_linux.go", "broker/vfs/os_other.go"}

func TestDependencies(t *testing.T) {
	for _, p := range load(t) {
		rel := strings.TrimPrefix(p.PkgPath, "holdfast/")
		for _, rule := range importRules {
			if !under(rel, rule.in) || under(rel, rule.except) {
				continue
			}
			for _, file := range p.Syntax {
				if driverFile(p.Fset, file) {
					continue
				}
				for _, spec := range file.Imports {
					path := strings.Trim(spec.Path.Value, `"`)
					if under(path, rule.ban) && !under(path, rule.allow) && !under(path, []string{p.PkgPath}) {
						t.Errorf("%s imports %s: %s", p.Fset.Position(spec.Pos()), path, rule.why)
					}
				}
			}
		}
	}
}

func TestCoreIsDeterministic(t *testing.T) {
	core := importRules[0]
	for _, p := range load(t) {
		rel := strings.TrimPrefix(p.PkgPath, "holdfast/")
		if !under(rel, core.in) || under(rel, core.except) {
			continue
		}
		for _, file := range p.Syntax {
			if driverFile(p.Fset, file) {
				continue
			}
			for _, fault := range impurities(p, file) {
				t.Error(fault)
			}
		}
	}
}

// TestSimulatorIsDeterministic: a seed is a run. Only the search of many seeds has threads.
func TestSimulatorIsDeterministic(t *testing.T) {
	for _, p := range load(t) {
		if p.PkgPath != "holdfast/scenarios/sim" {
			continue
		}
		for _, file := range p.Syntax {
			name := filepath.Base(p.Fset.Position(file.Pos()).Filename)
			if name == "search.go" || name == "figures.go" { // threads; what a simulation does not measure
				continue
			}
			for _, fault := range impurities(p, file) {
				t.Error(fault)
			}
		}
	}
}

func TestOnlyMainExits(t *testing.T) {
	for _, p := range load(t) {
		if p.PkgPath == "holdfast" {
			continue
		}
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if name := qualified(p, sel); name == "os.Exit" || name == "log.Fatal" || strings.HasPrefix(name, "flag.") {
						t.Errorf("%s uses %s: only main ends the process and owns flags", p.Fset.Position(n.Pos()), name)
					}
				}
				return true
			})
		}
	}
}

// impurities lists what makes two runs of one seed differ: goroutines, channels, map order, clocks, floating point.
func impurities(p *packages.Package, file *ast.File) []string {
	var found []string
	add := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s where a seed must decide everything", p.Fset.Position(n.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			add(n, "go statement")
		case *ast.SelectStmt:
			add(n, "select statement")
		case *ast.ChanType:
			add(n, "channel")
		case *ast.RangeStmt:
			if _, ok := p.TypesInfo.TypeOf(n.X).Underlying().(*types.Map); ok {
				add(n, "range over a map")
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT {
				add(n, "floating point")
			}
		case *ast.Ident:
			if n.Name == "float64" || n.Name == "float32" {
				add(n, n.Name)
			}
		case *ast.SelectorExpr:
			if name := qualified(p, n); slices.Contains(clocks, name) {
				add(n, name)
			}
		}
		return true
	})
	return found
}

var clocks = []string{"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Sleep", "time.NewTimer", "time.NewTicker", "time.Tick",
	"math/rand/v2.Int", "math/rand/v2.IntN", "math/rand/v2.Uint64", "math/rand/v2.Shuffle", "math/rand/v2.Perm", "math/rand/v2.N"}

// qualified names the package-level object that sel selects, e.g. "time.Now"; "" when it selects a field or method.
func qualified(p *packages.Package, sel *ast.SelectorExpr) string {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	name, ok := p.TypesInfo.Uses[id].(*types.PkgName)
	if !ok {
		return ""
	}
	return name.Imported().Path() + "." + sel.Sel.Name
}

// load parses and type-checks the non-test files of every package of the module, once.
func load(t *testing.T) []*packages.Package {
	t.Helper()
	if loaded != nil {
		return loaded
	}
	mode := packages.NeedName | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedFiles
	found, err := packages.Load(&packages.Config{Mode: mode}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
	}
	loaded = found
	return loaded
}

var loaded []*packages.Package

// under reports whether path is one of trees or lies below one.
func under(path string, trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return path == tree || strings.HasPrefix(path, tree+"/")
	})
}

func driverFile(fset *token.FileSet, file *ast.File) bool {
	name := filepath.ToSlash(fset.Position(file.Pos()).Filename)
	return slices.ContainsFunc(pureFiles, func(f string) bool { return strings.HasSuffix(name, "/"+f) })
}
