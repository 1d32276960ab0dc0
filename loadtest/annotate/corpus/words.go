package corpus

import (
	"math"
	"strings"
)

func pow(x, y float64) float64 { return math.Pow(x, y) }

// The words of the generator, the frequent ones first.
var (
	determiners = strings.Fields("the a the the this its their another every our his her some that")
	pronouns    = strings.Fields("he she they we it nobody everyone")

	nouns = strings.Fields(`time year people way day man government company number world life case point week group
		problem fact place right program work question system house country state money night story job word business
		issue side kind service area market party result change morning reason research moment team minute idea body
		information office door health person history court law police school price policy report plan election season
		match player coach bank share profit film album song actor garden river storm road bridge airport hospital doctor
		patient treatment disease vaccine computer phone network software engine battery planet rocket laboratory theory
		experiment species forest ocean climate harvest factory worker union strike budget tax minister committee judge
		trial witness crime weapon soldier border treaty crisis debate speech newspaper editor reader novel painting museum
		festival restaurant recipe kitchen winter summer journey passenger railway ticket stadium champion goal penalty injury`)
	plurals = strings.Fields(`people years days percent workers players children students dollars miles weeks countries members
		patients customers houses votes points companies documents soldiers tourists hours tons shares books jobs`)
	verbs = strings.Fields(`said made took found gave told asked left called kept began helped showed heard played moved
		lived believed held brought wrote provided paid met included continued learned changed led understood watched followed
		stopped created spoke read allowed added spent grew opened walked won offered remembered considered bought waited
		served sent expected built stayed reached killed raised passed sold required reported decided pulled visited defended
		announced rejected approved criticized praised improved damaged launched examined repaired borrowed celebrated`)
	adjectives = strings.Fields(`new good first last long great little own other old right big high different small large
		next early young important few public bad same able local national recent final major better economic strong possible
		whole free military true federal international full special easy clear difficult human serious ready simple left
		terrible wonderful excellent boring brilliant awful disappointing cheap expensive quiet dangerous golden empty rural`)
	prepositions = strings.Fields("of in to for with on at from by about after before against during without near under between through")
	adverbs      = strings.Fields(`again today now then yesterday soon already quickly finally recently together probably suddenly
		nearly carefully almost certainly badly quietly twice`)
	openers = strings.Split("However|Meanwhile|In fact|On Monday|Last year|For example|After the meeting|As a result|Unfortunately|According to officials|In the end|At first|Of course", "|")
	joiners = strings.Fields("and but because while although so which when since unless")
	titles  = strings.Fields("Mr. Mrs. Dr. President Minister Judge Professor Captain")

	firstNames = strings.Fields(`James Mary John Patricia Robert Jennifer Michael Linda David Elizabeth William Barbara Richard
		Susan Joseph Jessica Thomas Sarah Carlos Karen Ahmed Nancy Wei Lisa Daniel Margaret Matthew Sandra Antonio Ashley Yuki
		Fatima Ivan Olga Pierre Amara Kofi Ingrid Diego Priya Hassan Chloe Mateo Aisha Viktor Elena Tariq Hannah Luca Mei`)
	lastNames = strings.Fields(`Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Wilson
		Anderson Taylor Moore Jackson Martin Lee Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright Khan
		Nguyen Patel Kim Chen Tanaka Ivanova Mueller Rossi Silva Novak Okafor Haddad Larsen Dubois Kowalski Andersen Mbeki Costa`)
	places = strings.Split(strings.ReplaceAll(`London|Paris|New York|Washington|China|Germany|Tokyo|Berlin|Moscow|California|Texas|Africa|India|Brazil|
Spain|Chicago|Boston|Lyon|Lagos|Cairo|Sydney|Ohio|Vienna|Seoul|Mexico City|Nairobi|Lisbon|Oslo|Toronto|Dublin|Prague|Lima|Baghdad|Manchester`, "\n", ""), "|")
	companies    = strings.Fields("Acme Northwind Globex Initech Umbra Vandelay Stellar Pinewood Harbor Meridian Atlas Quantum Redwood Summit Orion Cascade Beacon Sterling")
	companyKinds = strings.Fields("Inc. Corp. Group Bank University Holdings Systems Airlines Ltd. Motors Pharma")
	days         = strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
	months       = strings.Fields("January February March April May June July August September October November December")
)
