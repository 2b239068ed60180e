"""Lists of English words: the data behind `text.verb_rules`. Usable on their own.

To teach the rules a verb, add its base form to `VERBS`.
"""

# ruff: noqa: SIM905 (lists of words are read and changed more easily as text)
from __future__ import annotations

# What instructions ask for, and what questions are about ("How do I repair ...?").
VERBS = frozenset(
    """
    abbreviate achieve acknowledge act adapt add adjust adopt advertise advise advocate affect aggregate agree
    aim allocate alphabetize alter amend analyse analyze annotate announce answer anticipate apologize apply
    appraise appreciate approach approximate argue arrange articulate ask assemble assess assign associate
    assume attach attempt attract automate avoid award bake balance be become begin believe benefit book boost
    borrow brainstorm break bring build buy calculate calibrate call cancel capitalise capitalize capture care
    carry categorise categorize cause celebrate challenge change characterize charge check choose cite clarify
    classify clean clear climb close cluster code collaborate collect combine come comment communicate compare
    compile complete compose compress compute conclude conduct configure confirm conjugate connect consider
    conserve construct contact contain contrast contribute control convert convince cook coordinate copy
    correct count cover craft create critique crop customize cut debate debug decide declare decode decompose
    decorate decrease deduce deduct define delete deliver demonstrate depict derive describe design detect
    determine develop devise diagnose differentiate discover discuss display distinguish divide do document
    draft dramatize draw drive earn eat edit educate elaborate elicit eliminate email embed emphasize employ
    encode encourage encrypt enhance enter enumerate equip establish estimate evaluate evoke examine exchange
    execute exercise expand explain explore express extend extract facilitate factor fall fetch fill filter
    find finish fit fix flag flip follow forecast form format formulate foster gather generalize generate get
    give go grade greet group grow guess handle happen have help highlight hire hypothesize identify
    illustrate imagine impact implement improve include incorporate increase indicate infer influence inform
    insert inspire install integrate interpret introduce invent invest investigate invite involve join judge
    justify keep know label lead learn let link list live locate look lower maintain make manage manipulate
    map mark match maximize mean measure meet memorize mention merge minimize mix modify monitor motivate move
    multiply name narrate need negotiate normalize notice number observe obtain offer open optimize order
    organise organize outline output overcome paint paraphrase parse pay perform personalize persuade pick
    place plan play plot point pose predict prefer prepare present pretend prevent print prioritize process
    produce program promote pronounce proofread propose protect prove provide publish punctuate purchase put
    quantify query quote raise rank rate reach react read realize rearrange recall receive recite recognize
    recommend reconstruct record recreate recycle redesign reduce refactor refer refine reflect reformat
    reformulate relate relax remember remind remove rename render reorder reorganize repair repeat rephrase
    replace reply report represent request require research reserve resolve respond restate reshape restore
    restructure retrieve return reuse revamp reverse review revise reword rewrite rotate round run save say
    scan schedule score scramble search see select sell send separate sequence serve set shape share shift
    shorten show shuffle sign simplify simulate sing sketch solve sort speak specify spell spend split stand
    start state stay stop store strengthen structure study subtract substitute suggest sum summarise summarize
    supply support suppose switch synthesize tabulate tag take talk tally teach tell test think train
    transcribe transform translate transpose travel treat trim troubleshoot try turn type underline understand
    unscramble update upgrade use utilize validate verify visit visualize wait walk want wash watch wear weigh
    win work write
    """.split()
)

# Forms that the endings below do not lead back to the base form.
IRREGULAR_VERBS = dict(
    entry.split("=")
    for entry in """
    wrote=write written=write gave=give given=give made=make built=build found=find taught=teach
    told=tell thought=think bought=buy sold=sell went=go gone=go came=come took=take taken=take
    chosen=choose
    """.split()
)

# Endings of verbs and of plurals, and what the base form has in their place; the first that fits counts.
VERB_ENDINGS = (
    *(("ies", "y"), ("ied", "y"), ("es", "e"), ("es", ""), ("s", ""), ("ed", "e"), ("ed", "")),
    *(("ing", "e"), ("ing", "")),
)
NOUN_ENDINGS = (
    *(("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ss", "ss"), ("us", "us")),
    *(("is", "is"), ("s", "")),
)

# After one of these a word is a noun or an adjective, even if it is in the list of verbs ("the answer").
DETERMINERS = frozenset(
    """
    a an the this that these those my your his her its our their any some each every all both no another other
    what which whose following given
    """.split()
)
NUMBERS = frozenset("one two three four five six seven eight nine ten many several few".split())
PREPOSITIONS = frozenset(
    """
    about above across after against along among around as at before behind below beneath beside besides
    between beyond by despite during except for from in inside into like near of on onto outside past per
    regarding since than through throughout till toward towards under until upon using via with within without
    """.split()
)
AUXILIARIES = frozenset(
    """
    am is are was were be been being do does did has have had can could will would shall should may might must
    """.split()
)

# The verb comes after the first comma where a text begins with one of these or with a preposition.
OPENINGS = frozenset("given based if when as assuming imagine suppose".split())

# A noun phrase ends before one of these.
CLAUSES = frozenset(
    """
    how why when where whether if that such because while who whom whose which what so then to and or but i
    you he she it we they me him us them someone something anyone anything everyone everything nothing there
    here
    """.split()
)
# What may come between a verb and its object: "look up the word", "give me a list", "name at least three".
PARTICLES = frozenset(
    "up out off down over back away me us him them her you also at least just please".split()
)
ADVERBS = frozenset("not only very most more less too least".split())

IRREGULAR_NOUNS = dict(
    entry.split("=")
    for entry in """
    men=man women=woman children=child mice=mouse feet=foot teeth=tooth criteria=criterion
    phenomena=phenomenon hypotheses=hypothesis analyses=analysis theses=thesis crises=crisis
    matrices=matrix indices=index vertices=vertex lives=life wives=wife leaves=leaf knives=knife
    halves=half axes=axis movies=movie cookies=cookie calories=calorie series=series species=species
    news=news lens=lens gas=gas canvas=canvas mathematics=mathematics physics=physics
    economics=economics politics=politics
    """.split()
)
