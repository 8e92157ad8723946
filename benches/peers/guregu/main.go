// The jobs with guregu/dynamo: its batches, and no goroutines, as it has none of its own.
//
// Usage: guregu JOB ENDPOINT TABLE [RESULTS]. Prints one line of JSON; see the README beside `run`.
package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/guregu/dynamo/v2"
)

const naiveMatches = 2000

type player struct {
	Game       string  `dynamo:"game,hash"`
	Name       string  `dynamo:"name,range"`
	Rating     float64 `dynamo:"rating"`
	Played     uint64  `dynamo:"played"`
	Team       *string `dynamo:"team,null"`
	Active     bool    `dynamo:"active"`
	LastPlayed string  `dynamo:"last_played,allowempty"`
	Motto      string  `dynamo:"motto,allowempty"`
}

type team struct {
	Team         string  `dynamo:"team,hash"`
	Rating       float64 `dynamo:"rating"`
	Played       uint64  `dynamo:"played"`
	Won          uint64  `dynamo:"won"`
	Drawn        uint64  `dynamo:"drawn"`
	Lost         uint64  `dynamo:"lost"`
	GoalsFor     uint64  `dynamo:"goals_for"`
	GoalsAgainst uint64  `dynamo:"goals_against"`
	LastPlayed   string  `dynamo:"last_played,allowempty"`
}

type match struct {
	date, home, away     string
	homeScore, awayScore uint64
}

// Counts the requests that are sent.
type counting struct {
	sent atomic.Int64
}

func (c *counting) Do(request *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	return http.DefaultClient.Do(request)
}

func main() {
	job, endpoint, name := os.Args[1], os.Args[2], os.Args[3]
	var matches []match
	if len(os.Args) > 4 {
		matches = read(os.Args[4])
	}
	requests := new(counting)
	db := dynamo.New(aws.Config{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("peer", "peer", ""),
		BaseEndpoint: aws.String(endpoint),
		HTTPClient:   requests,
	})
	table := db.Table(name)
	ctx := context.Background()
	// The connection is made, and the table is there.
	if _, err := table.Describe().Run(ctx); err != nil {
		log.Fatal(err)
	}
	requests.sent.Store(0)
	wall, cpu := time.Now(), cpuTime()
	items, err := map[string]func(context.Context, dynamo.Table, []match) (int, error){
		"change": change, "leaderboard": leaderboard, "naive": naive,
	}[job](ctx, table, matches)
	if err != nil {
		log.Fatal(err)
	}
	measured, err := json.Marshal(map[string]any{
		"items":        items,
		"requests":     requests.sent.Load(),
		"wall_seconds": time.Since(wall).Seconds(),
		"cpu_seconds":  (cpuTime() - cpu).Seconds(),
		"peak_bytes":   peakBytes(),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(measured))
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func peakBytes() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		log.Fatal(err)
	}
	return kilobytes * 1024
}

// The matches that have a score, in the order of the file.
func read(path string) []match {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	date, home, away := column("date"), column("home_team"), column("away_team")
	homeScore, awayScore := column("home_score"), column("away_score")
	matches := make([]match, 0, len(rows))
	for _, row := range rows[1:] {
		if row[homeScore] == "NA" || row[awayScore] == "NA" {
			continue
		}
		score := func(text string) uint64 {
			value, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				log.Fatal(err)
			}
			return value
		}
		matches = append(matches, match{
			row[date], row[home], row[away], score(row[homeScore]), score(row[awayScore]),
		})
	}
	return matches
}

// Loads 20,000 players, changes every tenth, and saves those.
func change(ctx context.Context, table dynamo.Table, _ []match) (int, error) {
	keys := make([]dynamo.Keyed, 20_000)
	for number := range keys {
		keys[number] = dynamo.Keys{"chess", fmt.Sprintf("player %06d", number)}
	}
	var players []player
	err := table.Batch("game", "name").Get(keys...).Consistent(true).All(ctx, &players)
	if err != nil {
		return 0, err
	}
	var changed []any
	for _, player := range players {
		number, err := strconv.Atoi(strings.Fields(player.Name)[1])
		if err != nil {
			return 0, err
		}
		if number%10 == 0 {
			player.Played++
			player.Rating += 10
			changed = append(changed, player)
		}
	}
	_, err = table.Batch("game", "name").Write().Put(changed...).Run(ctx)
	return len(players) + len(changed), err
}

func newTeam(name string) team {
	return team{Team: name, Rating: 1500}
}

func (t *team) takeIn(date string, scored, conceded uint64, gain float64) {
	t.Rating += gain
	t.Played++
	switch {
	case scored > conceded:
		t.Won++
	case scored == conceded:
		t.Drawn++
	default:
		t.Lost++
	}
	t.GoalsFor += scored
	t.GoalsAgainst += conceded
	t.LastPlayed = date
}

func play(home, away *team, played match) {
	result := 0.0
	if played.homeScore > played.awayScore {
		result = 1
	} else if played.homeScore == played.awayScore {
		result = 0.5
	}
	expected := 1 / (1 + math.Pow(10, (away.Rating-home.Rating)/400))
	gain := 20 * (result - expected)
	home.takeIn(played.date, played.homeScore, played.awayScore, gain)
	away.takeIn(played.date, played.awayScore, played.homeScore, -gain)
}

// Each team is read once and written once.
func leaderboard(ctx context.Context, table dynamo.Table, matches []match) (int, error) {
	teams := map[string]*team{}
	var keys []dynamo.Keyed
	for _, played := range matches {
		for _, name := range []string{played.home, played.away} {
			if teams[name] == nil {
				fresh := newTeam(name)
				teams[name] = &fresh
				keys = append(keys, dynamo.Keys{name})
			}
		}
	}
	var found []team
	err := table.Batch("team").Get(keys...).Consistent(true).All(ctx, &found)
	if err != nil && !errors.Is(err, dynamo.ErrNotFound) {
		return 0, err
	}
	for _, known := range found {
		teams[known.Team] = &known
	}
	for _, played := range matches {
		play(teams[played.home], teams[played.away], played)
	}
	var all []any
	for _, changed := range teams {
		all = append(all, *changed)
	}
	_, err = table.Batch("team").Write().Put(all...).Run(ctx)
	return len(matches), err
}

// Both teams of a match are read before it and written after it.
func naive(ctx context.Context, table dynamo.Table, matches []match) (int, error) {
	get := func(name string) (team, error) {
		found := newTeam(name)
		err := table.Get("team", name).Consistent(true).One(ctx, &found)
		if errors.Is(err, dynamo.ErrNotFound) {
			return newTeam(name), nil
		}
		return found, err
	}
	for _, played := range matches[:naiveMatches] {
		home, err := get(played.home)
		if err != nil {
			return 0, err
		}
		away, err := get(played.away)
		if err != nil {
			return 0, err
		}
		play(&home, &away, played)
		for _, changed := range []team{home, away} {
			if err := table.Put(changed).Run(ctx); err != nil {
				return 0, err
			}
		}
	}
	return naiveMatches, nil
}
